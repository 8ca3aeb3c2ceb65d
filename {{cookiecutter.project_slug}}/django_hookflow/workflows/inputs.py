"""Types of data: what a workflow takes (`input=`) and returns (`output=`).

A type checks data before it is recorded, and describes itself as JSON schema.
What is recorded is plain JSON: an old run is read by the type of today, from
wherever that is imported.
"""

from __future__ import annotations

from typing import Any

from django_hookflow.workflows.datatypes import DataType
from django_hookflow.workflows.datatypes import SerializerType


def data_type(kind: Any) -> DataType | None:
    """Return what `input=` or `output=` was given; None for None.

    Raises TypeError for what is no type of data.
    """
    if kind is None:
        return None
    if hasattr(kind, "is_valid") and hasattr(kind, "validated_data"):
        return SerializerType(kind)
    # Pydantic takes long to load, and most processes need none of it.
    from django_hookflow.workflows.adapted import AdaptedType

    return AdaptedType(kind)
