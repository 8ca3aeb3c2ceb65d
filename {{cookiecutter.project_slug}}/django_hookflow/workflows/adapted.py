"""Types of data that Pydantic checks; loaded when the first is declared."""

from __future__ import annotations

import json
from typing import Any

from pydantic import PydanticUserError
from pydantic import TypeAdapter
from pydantic import ValidationError
from pydantic_core import to_json

from django_hookflow.exceptions import InvalidData
from django_hookflow.workflows.datatypes import DataType
from django_hookflow.workflows.datatypes import shown_problem


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


def problems(error: ValidationError) -> dict[str, str]:
    """Return what Pydantic found, by the path of the field."""
    return {
        ".".join(map(str, found["loc"])): shown_problem(
            found["msg"], found["input"]
        )
        for found in error.errors(include_url=False, include_context=False)
    }
