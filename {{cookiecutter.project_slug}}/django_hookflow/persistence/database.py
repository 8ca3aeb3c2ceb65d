"""The database of the runs, and what every query here needs of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from datetime import datetime
from datetime import timedelta
from datetime import tzinfo
from functools import partial
from typing import Any
from typing import TypeVar

from django.db import InterfaceError
from django.db import OperationalError
from django.db import connections
from django.db import router
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_hookflow.conf import conf
from django_hookflow.exceptions import LeaseLost
from django_hookflow.models import WorkflowRun

# The connection is gone, or the database gave up: what it did, nobody knows.
LOST = (OperationalError, InterfaceError)


def using() -> str:
    """The alias of the database that holds the runs."""
    return router.db_for_write(WorkflowRun)


def connection() -> BaseDatabaseWrapper:
    return connections[using()]


def atomic() -> AbstractContextManager[None]:
    context: AbstractContextManager[None] = transaction.atomic(using())
    return context


def is_postgres(django: BaseDatabaseWrapper) -> bool:
    return django.vendor == "postgresql"


@contextmanager
def fenced() -> Iterator[None]:
    """Make a lost connection a LeaseLost: write nothing more."""
    try:
        yield
    except LOST as error:
        raise LeaseLost from error


Parameters = TypeVar("Parameters", list[Any], dict[str, Any])


def execute(statement: str, parameters: Parameters) -> int:
    """Run raw SQL; how many rows it changed."""
    django = connection()
    with django.cursor() as cursor:
        cursor.execute(statement, adapted(parameters, django))
        return int(cursor.rowcount)


def fetch_one(
    statement: str, parameters: Parameters
) -> tuple[Any, ...] | None:
    """Run raw SQL that returns one row, or none."""
    django = connection()
    with django.cursor() as cursor:
        cursor.execute(statement, adapted(parameters, django))
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


class Driver:
    """Executes what is executed again and again, by the driver's own cursor.

    Django's reads each statement anew and checks what has not changed, which
    takes longer than SQLite takes for an INSERT. Where somebody watches
    Django's, as its debug cursor and its execute wrappers do, it is asked.
    """

    def __init__(self, django: BaseDatabaseWrapper) -> None:
        self._django = django
        self._is_postgres = is_postgres(django)
        self._raw: Any = None  # the driver's connection
        self._cursor: Any = None

    def execute(self, statement: str, parameters: tuple[Any, ...]) -> int:
        """Run a statement with %s in it; how many rows it changed."""
        django = self._django
        if django.execute_wrappers or django.queries_logged:
            return execute(statement, list(parameters))
        if self._raw is None or django.connection is not self._raw:
            self._open()
        if not self._is_postgres:
            statement = statement.replace("%s", "?")
        django.validate_no_broken_transaction()
        with django.wrap_database_errors:
            self._cursor.execute(statement, parameters)
        return int(self._cursor.rowcount)

    def _open(self) -> None:
        """Anew when a step has closed the connection under the cursor."""
        self._django.ensure_connection()
        self._raw = self._django.connection
        self._cursor = self._raw.cursor()


def adapted(parameters: Parameters, django: BaseDatabaseWrapper) -> Parameters:
    """`parameters` as raw SQL takes them."""
    adapt = time_adapter(django)
    if isinstance(parameters, dict):
        return {
            name: adapt(value) if isinstance(value, datetime) else value
            for name, value in parameters.items()
        }
    return [
        adapt(value) if isinstance(value, datetime) else value
        for value in parameters
    ]


def time_adapter(
    django: BaseDatabaseWrapper,
) -> Callable[[datetime | None], Any]:
    """What makes an aware time one that raw SQL takes.

    Django's own asks its settings anew for each value.
    """
    if is_postgres(django):
        return _unchanged
    return partial(_without_zone, django.timezone)


def _unchanged(value: datetime | None) -> datetime | None:
    return value


def _without_zone(zone: tzinfo | None, value: datetime | None) -> str | None:
    """A time in the form Django gives it in SQLite."""
    if value is None:
        return None
    return str(value.astimezone(zone).replace(tzinfo=None))


def zone() -> tzinfo | None:
    """The zone of the times that raw SQL gives; None if they say it."""
    django = connection()
    return None if is_postgres(django) else django.timezone


def aware(value: datetime | None, zone: tzinfo | None) -> datetime | None:
    """A time that raw SQL gave, aware: SQLite has no time zones."""
    if value is None or zone is None:
        return value
    return value.replace(tzinfo=zone)


def new_token() -> str:
    return uuid.uuid4().hex


def overdue_after(due: datetime | None) -> datetime | None:
    """When the sweeper may ring for what is due at `due`."""
    if due is None:
        return None
    return due + timedelta(seconds=conf.DJANGO_HOOKFLOW_SWEEP_AFTER)
