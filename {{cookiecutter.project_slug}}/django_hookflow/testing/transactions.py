"""Let the code under test commit, inside of the transaction of its test.

A test of Django is rolled back at its end, so what it does never commits:
callbacks of on_commit are not called, and one failed statement spoils all
that follow. Here, code that has no transaction open works as in production.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from contextlib import suppress
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

READS = re.compile(
    r"\W*(SELECT|WITH|EXPLAIN|PRAGMA|SAVEPOINT|RELEASE|ROLLBACK|BEGIN|SET)\b",
    re.IGNORECASE,
)
OF_BLOCKS = ("SAVEPOINT", "RELEASE", "ROLLBACK")
POINT = "hookflow_statement"


def commits(connection: BaseDatabaseWrapper) -> bool:
    """True if a statement would commit by itself in production."""
    blocks = connection.atomic_blocks
    return all(getattr(block, "_from_testcase", False) for block in blocks)


def fire_callbacks() -> None:
    """Call what waits for the commit that a test's transaction never has."""
    for connection in connections.all(initialized_only=True):
        while connection.run_on_commit and commits(connection):
            waiting, connection.run_on_commit = connection.run_on_commit, []
            for entry in waiting:  # savepoints, callback, whether it may fail
                with suppress(*[Exception] * any(entry[2:])):
                    entry[1]()


@contextmanager
def committing(on_write: Callable[[], None]) -> Iterator[None]:
    """Let each statement of the block stand for itself.

    `on_write`: called before a statement that writes; what it raises leaves
    what was written before. Not within atomic(savepoint=False), of which
    that could not be said.
    """

    def look(
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        connection: BaseDatabaseWrapper = context["connection"]
        mend(connection)
        if not READS.match(sql) and None not in connection.savepoint_ids:
            on_write()
        if sql.startswith(OF_BLOCKS) or not commits(connection):
            return execute(sql, params, many, context)
        with _point(connection):
            return execute(sql, params, many, context)

    opened = connections.all(initialized_only=True)
    with ExitStack() as stack:
        for connection in opened:
            stack.enter_context(connection.execute_wrapper(look))
        try:
            yield
        finally:
            for connection in opened:
                mend(connection)


def mend(connection: BaseDatabaseWrapper) -> None:
    """Forget that a statement failed, where none depends on another."""
    if connection.in_atomic_block and commits(connection):
        connection.needs_rollback = False


@contextmanager
def _point(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Take back a statement that fails; PostgreSQL refuses all after it."""
    raw: Any = connection.connection
    if connection.vendor != "postgresql" or not connection.in_atomic_block:
        yield
        return
    raw.execute(f"SAVEPOINT {POINT}")
    try:
        yield
    except Exception:
        raw.execute(f"ROLLBACK TO SAVEPOINT {POINT}")
        raise
    raw.execute(f"RELEASE SAVEPOINT {POINT}")
