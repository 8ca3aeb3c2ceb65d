"""Model fields for JSON that is read exactly as written, and for keys."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class JSONTextField(models.TextField):  # type: ignore[type-arg]
    """JSON stored as text.

    jsonb reorders keys, so a replay would walk a recorded dict in another
    order, and refuses NUL characters. NULL is read as None.
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
    """A primary key that is the ROWID on SQLite.

    Django's AutoField never reuses a key there, which costs a write to
    another table with every row. Here the key of a deleted last row is reused.
    """

    def db_type_suffix(self, connection: BaseDatabaseWrapper) -> str | None:
        if connection.vendor == "sqlite":
            return None
        return super().db_type_suffix(connection)
