"""DBOS: steps checkpointed in PostgreSQL by a library in the process.

Its defaults, except the log level; throughput by a registered queue, with an
executor id for each process, as its documentation asks.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from dbos import DBOS
from dbos import DBOSClient

from benchmarks.contenders.wire import serve
from benchmarks.contenders.wire import start_worker
from benchmarks.contenders.wire import throughput
from benchmarks.contenders.wire import work

MODULE = "benchmarks.contenders.with_dbos"
URL = os.environ["BENCH_DATABASE"]
QUEUE = "bench"
VERSION = "bench"


@DBOS.step()
def step(number: int, count: int) -> dict[str, bool]:
    return work(number, count)


@DBOS.workflow()
def run(count: int) -> dict[str, int]:
    for number in range(count):
        step(number, count)
    return {"steps": count}


def launch(executor: str) -> None:
    DBOS(
        config={
            "name": "bench",
            "system_database_url": URL,
            "log_level": "ERROR",
            "application_version": VERSION,
            "executor_id": executor,
        }
    )
    DBOS.launch()


def steps(steps: int, runs: int) -> float:
    """Return the seconds for workflows one after another, in this process."""
    began = time.perf_counter()
    for _ in range(runs):
        run(steps)
    return time.perf_counter() - began


def many(steps: int, runs: int, workers: int) -> float:
    client = DBOSClient(system_database_url=URL)
    options: Any = {
        "workflow_name": run.__qualname__,
        "queue_name": QUEUE,
        "app_version": VERSION,
    }

    def enqueue() -> None:
        for _ in range(runs):
            client.enqueue(options, steps)

    try:
        return throughput(
            enqueue,
            lambda: [start_worker(MODULE, str(n)) for n in range(workers)],
            runs,
        )
    finally:
        client.destroy()


def worker(number: str) -> None:
    launch(f"worker-{number}")
    # Without a limit the first process would take them all at once.
    DBOS.register_queue(QUEUE, worker_concurrency=10, polling_interval_sec=0.1)
    while True:
        time.sleep(1)


def main() -> None:
    launch("runner")
    serve({"steps": steps, "many": many})
    DBOS.destroy()


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker(sys.argv[2])
    else:
        main()
