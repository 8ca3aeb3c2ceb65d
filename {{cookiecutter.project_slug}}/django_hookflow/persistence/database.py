"""The database of the runs, and what every query here needs of it."""

from __future__ import annotations

import secrets
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
    local = value.astimezone(zone)
    # combine: replace() takes six times as long.
    return datetime.combine(local, local.time()).isoformat(" ")


def zone() -> tzinfo | None:
    """The zone of the times that raw SQL gives; None if they say it."""
    django = connection()
    return None if is_postgres(django) else django.timezone


def aware(value: datetime | None, zone: tzinfo | None) -> datetime | None:
    """A time that raw SQL gave, aware: SQLite has no time zones."""
    if value is None or zone is None:
        return value
    return datetime.combine(value, value.time(), zone)


def read_time(text: str | None, zone: tzinfo | None) -> datetime | None:
    """A time that raw SQL gave as text, aware."""
    return aware(datetime.fromisoformat(text), zone) if text else None


def new_token() -> str:
    return secrets.token_hex(16)


def overdue_after(due: datetime | None) -> datetime | None:
    """When the sweeper may ring for what is due at `due`."""
    if due is None:
        return None
    try:
        return due + timedelta(seconds=conf.DJANGO_HOOKFLOW_SWEEP_AFTER)
    except OverflowError:  # at the end of time
        return due
