"""Data that is checked before it is recorded, and says what it may be."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from django_hookflow.exceptions import InvalidData

SHOWN = 60  # characters of a value that does not fit


class DataType(ABC):
    """Checks data, and describes it."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.name = kind.__name__ if isinstance(kind, type) else str(kind)

    @abstractmethod
    def checked(self, given: Any, what: str) -> Any:
        """Return data as the journal takes it.

        Raises InvalidData, which says of `what` which fields do not fit.
        """

    @abstractmethod
    def read(self, recorded: Any, what: str) -> Any:
        """Return recorded data as the author gets it.

        Raises InvalidData when it does not fit any more.
        """

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the data."""


class SerializerType(DataType):
    """A serializer class of the REST framework.

    What it has validated is recorded and read as it is: its validators may
    look at rows, which are others when the run goes on.
    """

    def checked(self, given: Any, what: str) -> Any:
        serializer = self.kind(data=given)
        if serializer.is_valid():
            return serializer.validated_data
        raise InvalidData(what, self.name, flattened(serializer.errors, given))

    def read(self, recorded: Any, what: str) -> Any:
        return recorded

    def schema(self) -> dict[str, Any]:
        # Only who has serializers has the REST framework loaded.
        from rest_framework.schemas.openapi import AutoSchema

        found: dict[str, Any] = AutoSchema().map_serializer(self.kind())
        return found


def flattened(errors: Any, given: Any, path: str = "") -> dict[str, str]:
    """Return what a serializer found, by the path of the field."""
    if not isinstance(errors, Mapping):
        return {path: shown_problem(" ".join(map(str, errors)), given)}
    found: dict[str, str] = {}
    for key, error in errors.items():
        below = f"{path}.{key}" if path else str(key)
        found |= flattened(error, _item(given, key), below)
    return found


def _item(given: Any, key: Any) -> Any:
    """Return a field of data; of what has none by this name, all."""
    try:
        return given[key]
    except (KeyError, IndexError, TypeError):
        return given


def shown_problem(text: str, given: Any) -> str:
    return f"{text.removesuffix('.')}, given {given!r:.{SHOWN}}"
