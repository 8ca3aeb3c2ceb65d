"""Types of data: what a workflow takes (`input=`) and returns (`output=`).

A type checks data before it is recorded, and describes itself as JSON schema.
What is recorded is plain JSON: an old run is read by the type of today, from
wherever that is imported.
"""

from __future__ import annotations

import json
from abc import ABC
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from pydantic import PydanticUserError
from pydantic import TypeAdapter
from pydantic import ValidationError
from pydantic_core import to_json

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


class AdaptedType(DataType):
    """Whatever Pydantic's TypeAdapter takes, such as a dataclass."""

    def __init__(self, kind: Any) -> None:
        super().__init__(kind)
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(kind)
            self._schema = self._adapter.json_schema()
        except PydanticUserError as error:
            why, *_ = error.message.splitlines()
            raise TypeError(
                f"{kind!r} is not a type of data that Pydantic can check and "
                f"describe: {why} Write input= and output= with a "
                "dataclass, a Pydantic model, a TypedDict or a REST "
                "serializer class."
            ) from error

    def checked(self, given: Any, what: str) -> Any:
        try:
            # Fields have an alias or their name here, and their name there.
            value = self._adapter.validate_python(
                given, by_alias=True, by_name=True
            )
            # Without warnings: what an instance holds is checked next.
            plain = self._adapter.dump_python(
                value, mode="json", round_trip=True, warnings=False
            )
            again = self._read(json.dumps(plain))
        except ValidationError as error:
            raise InvalidData(what, self.name, problems(error)) from None
        except ValueError as error:
            raise InvalidData(what, self.name, {"": str(error)}) from error
        if again != value:
            raise InvalidData(
                what,
                self.name,
                {
                    "": "it does not come back equal from its own JSON (a "
                    "secret, a subclass, or a class without __eq__?)"
                },
            )
        return plain

    def read(self, recorded: Any, what: str) -> Any:
        try:
            return self._read(to_json(recorded, inf_nan_mode="constants"))
        except ValidationError as error:
            found = problems(error)
        except ValueError as error:
            found = {"": str(error)}
        raise InvalidData(what, self.name, found, is_recorded=True)

    def _read(self, text: str | bytes) -> Any:
        return self._adapter.validate_json(text, by_alias=True, by_name=True)

    def schema(self) -> dict[str, Any]:
        return self._schema


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


def data_type(kind: Any) -> DataType | None:
    """Return what `input=` or `output=` was given; None for None.

    Raises TypeError for what is no type of data.
    """
    if kind is None:
        return None
    if hasattr(kind, "is_valid") and hasattr(kind, "validated_data"):
        return SerializerType(kind)
    return AdaptedType(kind)


def problems(error: ValidationError) -> dict[str, str]:
    """Return what Pydantic found, by the path of the field."""
    return {
        ".".join(map(str, found["loc"])): _problem(
            found["msg"], found["input"]
        )
        for found in error.errors(include_url=False, include_context=False)
    }


def flattened(errors: Any, given: Any, path: str = "") -> dict[str, str]:
    """Return what a serializer found, by the path of the field."""
    if not isinstance(errors, Mapping):
        return {path: _problem(" ".join(map(str, errors)), given)}
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


def _problem(text: str, given: Any) -> str:
    return f"{text.removesuffix('.')}, given {given!r:.{SHOWN}}"
