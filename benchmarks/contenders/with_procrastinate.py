"""Procrastinate: a job queue in PostgreSQL, one job per step.

Async tasks and the worker's defaults. Each job defers the next one.
"""

from __future__ import annotations

import os
import sys
import time

import procrastinate
import psycopg

from benchmarks.contenders.wire import Marks
from benchmarks.contenders.wire import serve
from benchmarks.contenders.wire import start_worker
from benchmarks.contenders.wire import stop
from benchmarks.contenders.wire import throughput
from benchmarks.contenders.wire import work

# The worker is asked for by this name, so tasks keep it when it is __main__.
MODULE = "benchmarks.contenders.with_procrastinate"
URL = os.environ["BENCH_DATABASE"]

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=URL)
    if sys.argv[1:] == ["worker"]
    else procrastinate.SyncPsycopgConnector(conninfo=URL)
)


@app.task(name="step")
async def step(number: int, count: int) -> None:
    work(number, count)
    if number + 1 < count:
        await step.defer_async(number=number + 1, count=count)


def prepare() -> None:
    with psycopg.connect(URL) as connection:
        there = connection.execute(
            "SELECT to_regclass('procrastinate_jobs')"
        ).fetchone()
    if there == (None,):
        app.schema_manager.apply_schema()


def steps(steps: int, runs: int) -> float:
    """Return the seconds for chains one after another, with one worker."""
    marks = Marks()
    workers = [start_worker(MODULE)]
    try:
        step.defer(number=0, count=1)  # the worker is there when this ends
        marks.wait_for(1)
        wait_until_idle()
        began = time.perf_counter()
        for done in range(runs):
            step.defer(number=0, count=steps)
            marks.wait_for(done + 2)
            wait_until_idle()
        return time.perf_counter() - began
    finally:
        stop(workers)
        marks.close()


def wait_until_idle() -> None:
    """Wait: a worker that is notified while it ends a job may miss one."""
    while app.job_manager.list_jobs(status="doing"):
        time.sleep(0.001)


def many(steps: int, runs: int, workers: int) -> float:
    def enqueue() -> None:
        for _ in range(runs):
            step.defer(number=0, count=steps)

    return throughput(
        enqueue, lambda: [start_worker(MODULE) for _ in range(workers)], runs
    )


def main() -> None:
    with app.open():
        prepare()
        serve({"steps": steps, "many": many})


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        app.run_worker()
    else:
        main()
