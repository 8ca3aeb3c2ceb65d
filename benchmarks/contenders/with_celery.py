"""Celery over Redis: a chain of tasks, one per step.

Its defaults, with late acknowledgement, so that a killed worker's task runs
again. Redis keeps its own defaults: it snapshots, nothing waits for a disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from celery import Celery
from celery import chain

from benchmarks.contenders.wire import Marks
from benchmarks.contenders.wire import serve
from benchmarks.contenders.wire import stop
from benchmarks.contenders.wire import throughput
from benchmarks.contenders.wire import work

MODULE = "benchmarks.contenders.with_celery"
SOCKET = "BENCH_REDIS"

socket = os.environ.get(SOCKET, "")
app = Celery(
    "bench",
    broker=f"redis+socket://{socket}",
    backend=f"redis+socket://{socket}",
)
app.conf.task_acks_late = True
app.conf.task_reject_on_worker_lost = True
app.conf.broker_connection_retry_on_startup = True


@app.task(name="step")
def step(number: int, count: int) -> dict[str, bool]:
    return work(number, count)


def start(workers: int) -> list[subprocess.Popen[bytes]]:
    """Start one Celery worker with so many processes."""
    return [
        subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", MODULE, "worker",
             "--concurrency", str(workers), "--loglevel", "ERROR"],
            stdout=2,
        )
    ]  # fmt: skip


def enqueue(steps: int) -> None:
    chain(*[step.si(n, steps) for n in range(steps)]).apply_async()


def steps(steps: int, runs: int) -> float:
    """Return the seconds for chains in sequence, with one worker."""
    marks = Marks()
    workers = start(1)
    try:
        enqueue(1)  # the worker is there when this ends
        marks.wait_for(1)
        began = time.perf_counter()
        for done in range(runs):
            enqueue(steps)
            marks.wait_for(done + 2)
        return time.perf_counter() - began
    finally:
        stop(workers)
        marks.close()


def many(steps: int, runs: int, workers: int) -> float:
    def fill() -> None:
        for _ in range(runs):
            enqueue(steps)

    return throughput(fill, lambda: start(workers), runs)


def main() -> None:
    """Again with a Redis of its own, whose socket all processes know."""
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as folder:
        path = str(Path(folder) / "socket")
        redis = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", path,
             "--dir", folder],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while not Path(path).exists():
                time.sleep(0.01)
            subprocess.run(
                [sys.executable, "-m", MODULE],
                env=os.environ | {SOCKET: path},
                check=True,
            )
        finally:
            redis.terminate()
            redis.wait()


if __name__ == "__main__":
    if socket:
        serve({"steps": steps, "many": many})
    else:
        main()
