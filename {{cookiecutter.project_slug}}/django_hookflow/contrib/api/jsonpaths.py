"""Look into data and results in the database.

They are JSON in text columns, as they were written. No index covers them, so
a filter by them reads each row that the other filters leave.
"""

from __future__ import annotations

import re
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func
from django.db.models import Q
from django.db.models import QuerySet
from django.db.models import TextField
from django.db.models.sql.compiler import SQLCompiler

from django_hookflow.models import WorkflowRun

PREFIX = "state"
SEPARATOR = "__"
DEEPEST = 8  # names of a path
MOST = 5  # paths of a request

NAME = re.compile(r'[^"\\\x00-\x1f]{1,100}')

# Escapes that PostgreSQL decodes to no text: NUL, and half a surrogate pair.
# It would refuse the whole value, wherever they are in it.
ESCAPE = r"\u"
UNDECODABLE = (
    r"(?<!\\)(?:\\\\)*"  # but not an escaped backslash
    r"(?:\\u0000"
    r"|\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])"
    r"|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f])"
)

Sql = tuple[str, tuple[Any, ...]]


class TextAt(Func):
    """The text of what is at a path in JSON; NULL for nothing."""

    arity = 1
    output_field = TextField()

    def __init__(self, column: str, path: tuple[str, ...]) -> None:
        super().__init__(column)
        self.path = path

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any
    ) -> Sql:
        column, given = compiler.compile(self.source_expressions[0])
        sql = (
            f"CASE WHEN strpos({column}, %s) > 0 AND {column} ~ %s THEN NULL "
            f"ELSE {column}::json #>> %s::text[] END"
        )
        # The first look is cheap, and enough for most values.
        escaped = (*given, ESCAPE, *given, UNDECODABLE)
        return sql, (*escaped, *given, list(self.path))

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any
    ) -> Sql:
        column, given = compiler.compile(self.source_expressions[0])
        keys = "$" + "".join(f'."{name}"' for name in self.path)
        # A number may be the place in a list, as it may on PostgreSQL.
        places = "$" + "".join(
            f"[{int(name)}]" if name.isdecimal() else f'."{name}"'
            for name in self.path
        )
        # The numbers 1 and 0 are what it makes of true and false.
        one = (
            f"CASE json_type({column}, %s) "
            "WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' "
            f"ELSE CAST(json_extract({column}, %s) AS TEXT) END"
        )
        sql = f"CASE WHEN json_valid({column}) THEN COALESCE({one}, {one}) END"
        values = [keys, keys, places, places]
        return sql, (
            *given,
            *(part for value in values for part in (*given, value)),
        )


def path_of(name: str) -> tuple[str, ...] | None:
    """Return the path that a parameter names; None if it names none."""
    prefix, *path = name.split(SEPARATOR)
    if prefix != PREFIX or not 0 < len(path) <= DEEPEST:
        return None
    return tuple(path) if all(map(NAME.fullmatch, path)) else None


def having(
    runs: QuerySet[WorkflowRun], wanted: dict[tuple[str, ...], str]
) -> QuerySet[WorkflowRun]:
    """Return the runs whose data or result has these texts at these paths."""
    for number, (path, text) in enumerate(wanted.items()):
        data, result = f"_data_{number}", f"_result_{number}"
        runs = runs.alias(
            **{data: TextAt("data", path), result: TextAt("result", path)}
        ).filter(Q(**{data: text}) | Q(**{result: text}))
    return runs
