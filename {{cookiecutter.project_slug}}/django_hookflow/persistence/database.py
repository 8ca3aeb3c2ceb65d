"""The database of the runs, and helpers for all queries here."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from datetime import datetime
from datetime import timedelta

from django.db import DatabaseError
from django.db import Error
from django.db import InterfaceError
from django.db import InternalError
from django.db import NotSupportedError
from django.db import OperationalError
from django.db import ProgrammingError
from django.db import connections
from django.db import router
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError

from django_hookflow.conf import conf
from django_hookflow.exceptions import LeaseLost
from django_hookflow.models import WorkflowRun

TOKEN_LENGTH = 32  # characters

# SQLSTATE of a transaction that may only read: the database is a replica, or
# was made read-only. https://www.postgresql.org/docs/18/errcodes-appendix.html
READ_ONLY = "25006"
BROKEN = "XX"  # the class of those that say something in it is corrupted

# Of our own statements: the connection is gone, the database gave up, is
# full, or has other tables than we know, as in a deploy.
ILL = (
    OperationalError,
    InterfaceError,
    ProgrammingError,
    NotSupportedError,
)


def using() -> str:
    """Return the alias of the database that holds the runs."""
    return router.db_for_write(WorkflowRun)


def connection() -> BaseDatabaseWrapper:
    return connections[using()]


def atomic() -> AbstractContextManager[None]:
    context: AbstractContextManager[None] = transaction.atomic(using())
    return context


def is_ill(error: BaseException) -> bool:
    """True if one of our statements failed for the state of the database."""
    if isinstance(error, InternalError):
        state = getattr(error.__cause__, "sqlstate", None) or ""
        return state.startswith((READ_ONLY, BROKEN))
    if type(error) is DatabaseError:  # SQLite's, of a file that is damaged
        return True
    # A transaction that the step has spoilt is the step's failure.
    spoilt = isinstance(error, TransactionManagementError)
    return isinstance(error, ILL) and not spoilt


@contextmanager
def fenced() -> Iterator[None]:
    """Make an ill database a LeaseLost: write nothing more."""
    try:
        yield
    except Error as error:
        if is_ill(error):
            raise LeaseLost from error
        raise


def new_token() -> str:
    return secrets.token_hex(TOKEN_LENGTH // 2)


def overdue_after(due: datetime | None) -> datetime | None:
    """Return when the sweeper may act on what is due at `due`."""
    if due is None:
        return None
    try:
        return due + timedelta(seconds=conf.DJANGO_HOOKFLOW_SWEEP_AFTER)
    except OverflowError:  # at the end of time
        return due
