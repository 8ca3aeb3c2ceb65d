"""The worker: takes what Temporal has for this site, until it is stopped."""

from __future__ import annotations

import asyncio
import pkgutil
import signal
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxRestrictions

import django_hookflow
from django_hookflow import stopping
from django_hookflow.contrib.temporal.activities import advance
from django_hookflow.contrib.temporal.activities import request_cancel
from django_hookflow.contrib.temporal.client import Server
from django_hookflow.contrib.temporal.isolation import ConnectionInterceptor
from django_hookflow.contrib.temporal.run import HookflowRun

# Passed through Temporal's sandbox, which would import them again for each
# execution: what the package of the engine imports, without contrib, and
# what projects import beside their workflows.
SHARED = (
    "asgiref",
    "django",
    "sentry_sdk",
    "sqlparse",
    *(
        f"django_hookflow.{module.name}"
        for module in pkgutil.iter_modules(django_hookflow.__path__)
        if module.name != "contrib"
    ),
)

# How long the next step of an execution waits for the worker that has it in
# its cache, and may have died. Temporal's own default is 10 seconds.
STICKY = timedelta(seconds=3)

Activity = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Job:
    """The engine's runs, and what is given beside, for a worker to serve.

    `grace`: seconds that activities under way have after SIGTERM.
    """

    task_queue: str
    workflows: Sequence[type] = ()
    activities: Sequence[Activity] = ()
    concurrent: int = 10
    grace: float = 25

    def worker(self, client: Client, executor: ThreadPoolExecutor) -> Worker:
        return Worker(
            client,
            task_queue=self.task_queue,
            workflows=[HookflowRun, *self.workflows],
            activities=[advance, request_cancel, *self.activities],
            activity_executor=executor,
            max_concurrent_activities=self.concurrent,
            graceful_shutdown_timeout=timedelta(seconds=self.grace),
            sticky_queue_schedule_to_start_timeout=STICKY,
            workflow_runner=sandbox(),
            interceptors=[ConnectionInterceptor()],
        )


def sandbox() -> SandboxedWorkflowRunner:
    """Return Temporal's sandbox for the workflows of a Django project."""
    restrictions = SandboxRestrictions.default
    return SandboxedWorkflowRunner(
        restrictions=restrictions.with_passthrough_modules(*SHARED)
    )


def serve(job: Job, on_start: Callable[[], None] = lambda: None) -> None:
    """Work until SIGTERM or Ctrl-C.

    Raises RuntimeError if Temporal cannot be reached, and OSError if a file
    of the settings cannot be read.
    """
    with ThreadPoolExecutor(job.concurrent, "activity") as executor:
        asyncio.run(_serve(job, executor, on_start))


async def _serve(
    job: Job, executor: ThreadPoolExecutor, on_start: Callable[[], None]
) -> None:
    client = await Server.of_settings().client()
    stopped = asyncio.Event()
    with _stopping_by_signal(stopped):
        async with job.worker(client, executor):
            on_start()
            await stopped.wait()


@contextmanager
def _stopping_by_signal(stopped: asyncio.Event) -> Iterator[None]:
    """Set `stopped` at SIGTERM and SIGINT; a second one acts as usual.

    The engine then ends a delivery after the step it is at.
    """
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before: dict[int, Any] = {n: signal.getsignal(n) for n in numbers}

    def stop(number: int, _: FrameType | None) -> None:
        stopping.tell()
        signal.signal(number, before[number])
        loop.call_soon_threadsafe(stopped.set)

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])
        stopping.tell(is_stopping=False)
