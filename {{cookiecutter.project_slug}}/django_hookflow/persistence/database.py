"""The database of the runs, and what every query here needs of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from datetime import datetime
from datetime import timedelta

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


@contextmanager
def fenced() -> Iterator[None]:
    """Make a lost connection a LeaseLost: write nothing more."""
    try:
        yield
    except LOST as error:
        raise LeaseLost from error


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
