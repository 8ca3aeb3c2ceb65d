"""A model field for JSON that must come back exactly as it was written."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class JSONTextField(models.TextField):  # type: ignore[type-arg]
    """JSON kept as text.

    jsonb reorders keys, which would change the order in which a replay walks
    a recorded dict, and refuses NUL. NULL reads as None.
    """

    def from_db_value(self, value: str | None, *_: object) -> Any:
        return None if value is None else json.loads(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value)

    def value_to_string(self, obj: models.Model) -> str:
        return json.dumps(self.value_from_object(obj))

    def to_python(self, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value


class RowIdField(models.BigAutoField):  # type: ignore[type-arg]
    """A key that is the row's own number where SQLite keeps it.

    Django's keys there are never given twice, which costs a write to another
    table with every row. Here the number of a deleted last row is free again.
    """

    def db_type_suffix(self, connection: BaseDatabaseWrapper) -> str | None:
        if connection.vendor == "sqlite":
            return None
        return super().db_type_suffix(connection)
