"""The statements of the hot path go to the driver, past Django.

Django's cursor parses each statement every time, which takes longer than an
INSERT of SQLite; psycopg's takes a third of a step on PostgreSQL. Where debug
cursor or execute wrappers observe Django's cursor, that one is used.

On PostgreSQL, prepared statements go to libpq directly. All of this may be
deleted when Django's own cursor takes less than a tenth of a commit, which
`make bench ONLY=steps` shows; its one switch is Driver._can_pass.
"""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any
from typing import TypeAlias
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper

from django_hookflow import clock
from django_hookflow.persistence import database

# The values of a statement, one for each %s in it.
Row: TypeAlias = Sequence[Any]


def driver() -> Driver:
    """Return the driver for this thread's connection."""
    django = database.connection()
    if django.vendor == "postgresql":
        return PostgresDriver(django)
    return SQLiteDriver(django)


class Driver(ABC):
    """Executes statements on the connection that Django has open."""

    lock: str  # what makes an INSERT … SELECT lock the rows it selects
    skip_locked: str  # what makes a SELECT lock its row, or take another

    def __init__(self, django: BaseDatabaseWrapper) -> None:
        self._django = django
        self._raw: Any = None  # the driver's connection
        self._cursor: Any = None

    def execute(self, statement: str, row: Row) -> int:
        """Run a statement; how many rows it changed."""
        if self._can_pass():
            with self._django.wrap_database_errors:
                return self._execute(statement, row)
        with self._django.cursor() as cursor:
            cursor.execute(statement, row)
            return int(cursor.rowcount)

    def fetch_one(self, statement: str, row: Row) -> tuple[Any, ...] | None:
        """Run a statement that returns one row, or none."""
        if self._can_pass():
            with self._django.wrap_database_errors:
                self._cursor.execute(self._spelled(statement), row)
                return _only(self._cursor)
        with self._django.cursor() as cursor:
            cursor.execute(statement, row)
            return _only(cursor)

    @abstractmethod
    def time(self, value: datetime | None) -> Any:
        """An aware time as statements take it."""

    @abstractmethod
    def read_time(self, text: str | None) -> datetime | None:
        """A time that a statement gave as text, in UTC.

        Whatever zone the connection has: a step's first pass has its time in
        UTC, and the function may ask it for the date.
        """

    def _execute(self, statement: str, row: Row) -> int:
        self._cursor.execute(self._spelled(statement), row)
        return int(self._cursor.rowcount)

    @abstractmethod
    def _spelled(self, statement: str) -> str:
        """Return a statement in the style of the driver's own cursor."""

    def _can_pass(self) -> bool:
        """True if Django's cursor is not observed; then ours is open."""
        django = self._django
        if django.execute_wrappers or django.queries_logged:
            return False
        if self._raw is None or django.connection is not self._raw:
            self._open()
        django.validate_no_broken_transaction()
        return True

    def _open(self) -> None:
        """Open the cursor, again if a step has closed the connection."""
        django = self._django
        django.close_if_health_check_failed()
        django.ensure_connection()
        # What a step has closed in its transaction is not a lost connection.
        django.validate_no_broken_transaction()
        with django.wrap_database_errors:
            self._cursor = django.connection.cursor()
        self._raw = django.connection


class SQLiteDriver(Driver):
    """Keeps times as Django does: in the connection's zone, unsaid."""

    lock = skip_locked = ""  # it has one writer

    def time(self, value: datetime | None) -> str | None:
        if value is None:
            return None
        local = clock.in_zone(value, self._django.timezone)
        # combine: replace() takes six times as long.
        return datetime.combine(local, local.time()).isoformat(" ")

    def read_time(self, text: str | None) -> datetime | None:
        if text is None:
            return None
        value = datetime.fromisoformat(text)
        local = datetime.combine(value, value.time(), self._django.timezone)
        return clock.in_zone(local, UTC)

    def _spelled(self, statement: str) -> str:
        return _with_question_marks(statement)


class PostgresDriver(Driver):
    """Has libpq execute what it has prepared; each is one round trip."""

    # Makes a claim wait for an append that has begun; without it, the new
    # owner could read the journal just before the old one's entry is
    # committed, and run a committed step again.
    lock = " FOR SHARE"
    skip_locked = " FOR UPDATE SKIP LOCKED"

    _prepared: Prepared

    def time(self, value: datetime | None) -> datetime | None:
        return value

    def read_time(self, text: str | None) -> datetime | None:
        if text is None:
            return None
        return datetime.fromisoformat(text).astimezone(UTC)

    def _execute(self, statement: str, row: Row) -> int:
        # psycopg's cursor begins the transaction when Django wants one.
        if self._django.autocommit:
            changed = self._prepared.execute(statement, row)
            if changed is not None:
                return changed
        return super()._execute(statement, row)

    def _spelled(self, statement: str) -> str:
        return statement

    def _open(self) -> None:
        super()._open()
        self._prepared = prepared(self._raw)


def execute(statement: str, values: Row) -> int:
    """Run a statement once; how many rows it changed."""
    once = driver()
    return once.execute(statement, _spelled_times(once, values))


def fetch_one(statement: str, values: Row) -> tuple[Any, ...] | None:
    """Run a statement once that returns one row, or none."""
    once = driver()
    return once.fetch_one(statement, _spelled_times(once, values))


def _spelled_times(driver: Driver, values: Row) -> Row:
    return [
        driver.time(value) if isinstance(value, datetime) else value
        for value in values
    ]


@lru_cache(maxsize=16)  # the hot path has seven
def _with_question_marks(statement: str) -> str:
    return statement.replace("%s", "?")


def _only(cursor: Any) -> tuple[Any, ...] | None:
    """Return the one row, or None; SQLite commits after the last fetch."""
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows[0] if rows else None


def prepared(raw: Any) -> Prepared:
    """Return the prepared statements of a psycopg connection."""
    return _prepared.setdefault(raw, Prepared(raw))


class Prepared:
    """The statements that a connection of psycopg has executed often."""

    def __init__(self, raw: Any) -> None:
        self._pgconn = raw.pgconn
        self._threshold = raw.prepare_threshold  # None is never
        self._executed: Counter[str] = Counter()
        self._names: dict[str, bytes] = {}

    def execute(self, statement: str, row: Sequence[Any]) -> int | None:
        """Return the number of changed rows; None if a cursor must execute it.

        None on failure, too: the caller then uses psycopg's cursor, which
        raises the right exception, or succeeds if only our prepared statement
        was gone (DEALLOCATE ALL).
        """
        name = self._names.get(statement) or self._prepare(statement)
        if name is None:
            return None
        values = [*map(_as_text, row)]
        if b"\0" in b"".join(filter(None, values)):
            return None  # libpq would cut it off there; psycopg refuses it
        result = self._pgconn.exec_prepared(name, values)
        if result.error_message:
            self._names.pop(statement)
            return None
        return int(result.command_tuples)

    def _prepare(self, statement: str) -> bytes | None:
        self._executed[statement] += 1
        threshold = self._threshold
        if threshold is None or self._executed[statement] <= threshold:
            return None
        name = self._names[statement] = _name(statement)
        # If it fails, so does the execution that follows; unless the server
        # has it from another client of its pooler, and then it is the same.
        self._pgconn.prepare(name, _numbered(statement))
        return name


def _name(statement: str) -> bytes:
    """Return a name that is the same on all connections."""
    digest = sha256(statement.encode()).hexdigest()
    return f"hookflow_{digest[:32]}".encode()


def _numbered(statement: str) -> bytes:
    """Return a statement with $1, $2, … in place of %s."""
    first, *rest = statement.split("%s")
    numbered = (f"${n}{text}" for n, text in enumerate(rest, 1))
    return "".join([first, *numbered]).encode()


def _as_text(value: object) -> bytes | None:
    """Return a value as PostgreSQL's text format, times with offset."""
    return None if value is None else str(value).encode()


_prepared: WeakKeyDictionary[Any, Prepared] = WeakKeyDictionary()
