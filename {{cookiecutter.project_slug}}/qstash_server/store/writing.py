"""One transaction, and on SQLite one writer at a time in this process.

Lock order, everywhere: deduplication keys by their text, lanes by their key,
then messages. No transaction waits for a lane while it holds a message.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import ParamSpec
from typing import TypeVar

from django.db import DatabaseError
from django.db import OperationalError
from django.db import connection
from django.db import transaction

TRIES = 3
# PostgreSQL's errors for the victim of a deadlock or a serialization failure:
# nothing was written, and another try helps.
AGAIN = ("40P01", "40001")

# SQLite has one writer. Threads that meet at its lock sleep and try again,
# for up to 100 ms each time; meeting at a lock of our own costs nothing.
_one_writer = threading.RLock()

P = ParamSpec("P")
T = TypeVar("T")


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Commit everything in the block, or nothing."""
    on_sqlite = connection.vendor == "sqlite"
    lock = _one_writer if on_sqlite else contextlib.nullcontext()
    with lock, transaction.atomic():
        yield


def written(work: Callable[P, T]) -> Callable[P, T]:
    """Do all of `work` in one transaction, again if it is rolled back.

    The lock order makes that rare. Inside another transaction only the outer
    one can be repeated.
    """

    @functools.wraps(work)
    def tried(*args: P.args, **kwargs: P.kwargs) -> T:
        tries = 1 if connection.in_atomic_block else TRIES
        for _ in range(tries - 1):
            try:
                with writing():
                    return work(*args, **kwargs)
            except OperationalError as error:
                if not is_rolled_back(error):
                    raise
        with writing():
            return work(*args, **kwargs)

    return tried


def is_rolled_back(error: DatabaseError) -> bool:
    """True if the database aborted this transaction for another one."""
    return getattr(error.__cause__, "sqlstate", None) in AGAIN
