"""Failures of databases, on demand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

SWITCH = {
    "postgresql": "SET default_transaction_read_only = {}",
    "sqlite": "PRAGMA query_only = {}",
}


@contextmanager
def read_only() -> Iterator[None]:
    """Make the database refuse writes, as a replica does.

    It ends with the connection, which the engine may close when it fails.
    """
    switch = SWITCH[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(switch.format("on"))
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(switch.format("off"))
