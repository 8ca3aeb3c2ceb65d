from __future__ import annotations

import asyncio
import sysconfig
from collections.abc import AsyncIterator
from collections.abc import Iterator
from contextlib import asynccontextmanager

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from django_hookflow.contrib.temporal.isolation import ConnectionInterceptor
from temporal_app.management.commands.run_temporal_worker import Command

QUEUE = "test"


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(scope="session")
def environment(
    loop: asyncio.AbstractEventLoop,
) -> Iterator[WorkflowEnvironment]:
    """Yield a server that skips the time in which workflows only wait."""
    made = loop.run_until_complete(
        WorkflowEnvironment.start_time_skipping_v2(
            dev_server_existing_path=(
                f"{sysconfig.get_path('scripts')}/temporal"
            ),
            dev_server_extra_args=[
                "--dynamic-config-value",
                "frontend.WorkflowTimeSkippingEnabled=true",
            ],
        )
    )
    yield made
    loop.run_until_complete(made.shutdown())


@asynccontextmanager
async def working(client: Client, queue: str) -> AsyncIterator[None]:
    """Serve what the command serves of this app."""
    async with Worker(
        client,
        task_queue=queue,
        workflows=Command.workflows,
        activities=Command.activities,
        interceptors=[ConnectionInterceptor()],
    ):
        yield
