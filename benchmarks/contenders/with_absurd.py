"""Absurd: a task queue with checkpoints, all in PostgreSQL functions.

Its defaults; the schema is the one that its package absurdctl bundles.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import absurdctl
import psycopg
from absurd_sdk import Absurd

from benchmarks.contenders.wire import serve
from benchmarks.contenders.wire import start_worker
from benchmarks.contenders.wire import throughput
from benchmarks.contenders.wire import work

MODULE = "benchmarks.contenders.with_absurd"
URL = os.environ["BENCH_DATABASE"]


def prepare() -> None:
    with psycopg.connect(URL, autocommit=True) as connection:
        there = connection.execute(
            "SELECT 1 FROM pg_namespace WHERE nspname = 'absurd'"
        ).fetchone()
        if not there:
            connection.execute(absurdctl.BUNDLED_SCHEMA_SQL)


def connect() -> Any:
    app = Absurd(URL)

    @app.register_task("run")
    def run(params: Any, ctx: Any) -> Any:
        count = params["steps"]
        for number in range(count):
            ctx.step(f"step-{number}", lambda n=number: work(n, count))
        return {"steps": count}

    return app


def main() -> None:
    prepare()
    app = connect()
    app.create_queue("default")

    def steps(steps: int, runs: int) -> float:
        """Return the seconds for tasks in sequence, claimed here."""
        began = time.perf_counter()
        for _ in range(runs):
            app.spawn("run", {"steps": steps})
            app.work_batch()
        return time.perf_counter() - began

    def many(steps: int, runs: int, workers: int) -> float:
        def enqueue() -> None:
            for _ in range(runs):
                app.spawn("run", {"steps": steps})

        return throughput(
            enqueue, lambda: [start_worker(MODULE) for _ in range(workers)],
            runs,
        )  # fmt: skip

    serve({"steps": steps, "many": many})


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        connect().start_worker()
    else:
        main()
