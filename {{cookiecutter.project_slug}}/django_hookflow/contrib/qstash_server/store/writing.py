"""One transaction, and on SQLite one writer at a time in this process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from django.db import connection
from django.db import transaction

# SQLite has one writer. Threads that meet at its lock sleep and try again,
# for up to 100 ms each time; meeting at a lock of our own costs nothing.
_one_writer = threading.RLock()


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Commit everything in the block, or nothing."""
    on_sqlite = connection.vendor == "sqlite"
    lock = _one_writer if on_sqlite else contextlib.nullcontext()
    with lock, transaction.atomic():
        yield
