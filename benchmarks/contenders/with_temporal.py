"""Temporal: a workflow of activities, by its development server and SDK.

The server that temporalio's command line brings keeps its state in a SQLite
file. Defaults of both, but for one worker process per worker asked for.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from temporalio import activity
from temporalio import workflow
from temporalio.client import Client
from temporalio.client import WorkflowHandle
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from benchmarks.contenders.wire import PATIENCE
    from benchmarks.contenders.wire import free_ports
    from benchmarks.contenders.wire import serve
    from benchmarks.contenders.wire import start_worker
    from benchmarks.contenders.wire import throughput
    from benchmarks.contenders.wire import work

MODULE = "benchmarks.contenders.with_temporal"
ADDRESS = "TEMPORAL_ADDRESS"
"""The variable that names a server that is at hand."""

QUEUE = "bench"
TIMEOUT = timedelta(minutes=1)
Handle: TypeAlias = "WorkflowHandle[Run, dict[str, int]]"


@activity.defn
async def step(number: int, count: int) -> dict[str, bool]:
    return work(number, count)


@workflow.defn
class Run:
    @workflow.run
    async def run(self, count: int) -> dict[str, int]:
        for number in range(count):
            await workflow.execute_activity(
                step, args=[number, count], start_to_close_timeout=TIMEOUT
            )
        return {"steps": count}


def steps(steps: int, runs: int) -> float:
    """Return the seconds for workflows in sequence, with a worker."""
    return asyncio.run(_steps(steps, runs))


async def _steps(steps: int, runs: int) -> float:
    client = await connect()
    async with worker_of(client):
        await (await start(client, 1)).result()
        began = time.perf_counter()
        for _ in range(runs):
            await (await start(client, steps)).result()
        return time.perf_counter() - began


def many(steps: int, runs: int, workers: int) -> float:
    return throughput(
        lambda: asyncio.run(enqueue(steps, runs)),
        lambda: [start_worker(MODULE) for _ in range(workers)],
        runs,
    )


async def enqueue(steps: int, runs: int) -> None:
    client = await connect()
    for _ in range(runs):
        await start(client, steps)


async def start(client: Client, steps: int) -> Handle:
    return await client.start_workflow(
        Run.run, steps, id=uuid.uuid4().hex, task_queue=QUEUE
    )


async def work_off() -> None:
    async with worker_of(await connect()):
        await asyncio.Event().wait()


async def connect() -> Client:
    """A client, as soon as the server answers."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await Client.connect(os.environ[ADDRESS])
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


def worker_of(client: Client) -> Worker:
    return Worker(client, task_queue=QUEUE, workflows=[Run], activities=[step])


@contextmanager
def development_server() -> Iterator[str]:
    """Yield its address, while it runs on a file of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-temporal-") as folder:
        (port,) = free_ports(1)
        command = Path(sysconfig.get_path("scripts"), "temporal")
        server = subprocess.Popen(
            [command, "server", "start-dev", "--headless", "--port", str(port),
             "--db-filename", Path(folder, "temporal.sqlite3"),
             "--log-level", "error"],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def main() -> None:
    """Serve, with the server that is at hand or one of our own."""
    at_hand = os.environ.get(ADDRESS)
    with nullcontext(at_hand) if at_hand else development_server() as address:
        os.environ[ADDRESS] = address
        serve({"steps": steps, "many": many})


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        asyncio.run(work_off())
    else:
        main()
