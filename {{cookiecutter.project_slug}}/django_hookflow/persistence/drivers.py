"""What is executed again and again goes to the driver, past Django.

Django's cursor reads each statement anew and checks what has not changed,
which takes longer than SQLite takes for an INSERT; psycopg's takes a third of
a step on PostgreSQL. Where somebody watches Django's, as its debug cursor and
its execute wrappers do, it is asked all the same.
"""

from __future__ import annotations

import itertools
from abc import ABC
from abc import abstractmethod
from collections import Counter
from typing import Any
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper

from django_hookflow.persistence import database

Row = tuple[Any, ...]


def driver(django: BaseDatabaseWrapper) -> Driver:
    """The one for the database of a connection."""
    kind = PostgresDriver if database.is_postgres(django) else SQLiteDriver
    return kind(django)


class Driver(ABC):
    """Executes statements on the connection that Django has open."""

    def __init__(self, django: BaseDatabaseWrapper) -> None:
        self._django = django
        self._raw: Any = None  # the driver's connection
        self._cursor: Any = None

    def execute(self, statement: str, row: Row) -> int:
        """Run a statement with %s in it; how many rows it changed."""
        django = self._django
        if django.execute_wrappers or django.queries_logged:
            return database.execute(statement, list(row))
        if self._raw is None or django.connection is not self._raw:
            self._open()
        django.validate_no_broken_transaction()
        with django.wrap_database_errors:
            return self._execute(statement, row)

    @abstractmethod
    def _execute(self, statement: str, row: Row) -> int: ...

    def _open(self) -> None:
        """Anew when a step has closed the connection under the cursor."""
        self._django.ensure_connection()
        self._raw = self._django.connection
        self._cursor = self._raw.cursor()


class SQLiteDriver(Driver):
    def _execute(self, statement: str, row: Row) -> int:
        self._cursor.execute(statement.replace("%s", "?"), row)
        return int(self._cursor.rowcount)


class PostgresDriver(Driver):
    """Has libpq execute what it has prepared; each is one round trip."""

    def _execute(self, statement: str, row: Row) -> int:
        # psycopg's cursor begins the transaction when Django wants one.
        if self._django.autocommit:
            changed = self._prepared.execute(statement, row)
            if changed is not None:
                return changed
        self._cursor.execute(statement, row)
        return int(self._cursor.rowcount)

    def _open(self) -> None:
        super()._open()
        # By psycopg's connection, since its pool lends one to many threads.
        self._prepared = _prepared.setdefault(self._raw, Prepared(self._raw))


class Prepared:
    """The statements that a connection of psycopg has executed often."""

    def __init__(self, raw: Any) -> None:
        self._pgconn = raw.pgconn
        self._threshold = raw.prepare_threshold  # None is never
        self._executed: Counter[str] = Counter()
        self._names: dict[str, bytes] = {}

    def execute(self, statement: str, row: Row) -> int | None:
        """How many rows it changed; None if a cursor has to execute it.

        That is so when it failed, too: the cursor meets the same failure and
        knows its class, and what only this connection did not know of, such
        as DEALLOCATE ALL, is none to it.
        """
        name = self._names.get(statement) or self._prepare(statement)
        if name is None:
            return None
        result = self._pgconn.exec_prepared(name, [*map(_as_text, row)])
        if result.error_message:
            self._names.pop(statement)
            return None
        return int(result.command_tuples)

    def _prepare(self, statement: str) -> bytes | None:
        self._executed[statement] += 1
        threshold = self._threshold
        if threshold is None or self._executed[statement] <= threshold:
            return None
        name = self._names[statement] = b"hookflow_%d" % next(_numbers)
        # If it fails, so does the execution that follows.
        self._pgconn.prepare(name, _numbered(statement))
        return name


def _numbered(statement: str) -> bytes:
    """A statement with $1, $2, … where it has %s."""
    first, *rest = statement.split("%s")
    numbered = (f"${n}{text}" for n, text in enumerate(rest, 1))
    return "".join([first, *numbered]).encode()


def _as_text(value: object) -> bytes | None:
    """A value as PostgreSQL reads it from text, times with their offset."""
    return None if value is None else str(value).encode()


_numbers = itertools.count()
_prepared: WeakKeyDictionary[Any, Prepared] = WeakKeyDictionary()
