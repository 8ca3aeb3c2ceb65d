"""The raw limit: INSERT and COMMIT of a row of the journal's shape."""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from typing import Any

from benchmarks.contenders.wire import serve

TABLE = """
CREATE TABLE IF NOT EXISTS raw_journal (
    id {key}, run_id {number} NOT NULL, step_id varchar(255) NOT NULL,
    kind varchar(32) NOT NULL, status varchar(16) NOT NULL,
    position integer NOT NULL, result text NULL,
    error_type varchar(255) NOT NULL, error_message text NOT NULL,
    attempts integer NOT NULL, deliveries integer NOT NULL,
    started_at {time} NULL, executed_at {time} NULL, wake_at {time} NULL,
    event_name varchar(255) NOT NULL, event_match varchar(255) NOT NULL,
    UNIQUE (run_id, step_id)
)
"""
INSERT = (
    "INSERT INTO raw_journal (run_id, step_id, kind, status, position, "
    "result, error_type, error_message, attempts, deliveries, started_at, "
    "executed_at, wake_at, event_name, event_match) VALUES "
)


def connect(url: str) -> tuple[Callable[..., Any], str]:
    """Return a function that executes and commits, and the INSERT."""
    if url.startswith("sqlite"):
        return sqlite(url.removeprefix("sqlite:///"))
    return postgres(url)


def postgres(url: str) -> tuple[Callable[..., Any], str]:
    import psycopg

    cursor = psycopg.connect(url, autocommit=True).cursor()
    cursor.execute(
        TABLE.format(
            key="bigserial PRIMARY KEY", number="bigint", time="timestamptz"
        )
    )
    return cursor.execute, f"{INSERT} ({', '.join(['%s'] * 15)})"


def sqlite(path: str) -> tuple[Callable[..., Any], str]:
    """WAL and NORMAL, as the project's settings have it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(
        TABLE.format(
            key="integer PRIMARY KEY", number="bigint", time="datetime"
        )
    )
    return connection.execute, f"{INSERT} ({', '.join(['?'] * 15)})"


def main() -> None:
    url = os.environ["BENCH_DATABASE"]
    execute, statement = connect(url)
    now: Any = datetime.now(UTC)
    if url.startswith("sqlite"):
        now = now.isoformat(" ")

    def commits(count: int) -> float:
        """Return the seconds for `count` rows, each with its COMMIT."""
        run = uuid.uuid4().int >> 66
        began = time.perf_counter()
        for n in range(count):
            execute(
                statement,
                (run, f"step-{n}", "run", "completed", n, '{"ok": true}',
                 "", "", 1, 1, now, now, None, "", ""),
            )  # fmt: skip
        return time.perf_counter() - began

    serve({"commits": commits})


if __name__ == "__main__":
    main()
