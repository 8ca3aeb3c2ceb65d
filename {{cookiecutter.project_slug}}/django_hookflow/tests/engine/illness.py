"""What happens to databases, made to happen."""

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
    """The database takes no write, as a replica, or when it is moved.

    It ends with the connection, which an engine that meets it may close.
    """
    switch = SWITCH[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(switch.format("on"))
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(switch.format("off"))
