from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_hookflow.contrib.temporal.tests import programs
from django_hookflow.contrib.temporal.tests.server import DevServer
from django_hookflow.contrib.temporal.tests.server import working
from django_hookflow.contrib.temporal.worker import Job

TRANSPORT = "django_hookflow.contrib.temporal.TemporalTransport"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    made = DevServer(tmp_path_factory.mktemp("temporal"))
    made.start()
    yield made
    made.kill()


@pytest.fixture
def queue() -> str:
    """Return the name of a queue that only this test uses."""
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def temporal(server: DevServer, queue: str, settings: Any) -> DevServer:
    """Use the transport with a server and a queue of this test."""
    settings.DJANGO_HOOKFLOW_TRANSPORT = TRANSPORT
    settings.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT = 10
    settings.DJANGO_HOOKFLOW_LEASE = 2
    settings.TEMPORAL_ADDRESS = server.address
    settings.TEMPORAL_TASK_QUEUE = queue
    return server


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the effects of the programs go into a folder of this test."""
    monkeypatch.setenv(programs.FOLDER, str(tmp_path))
    return tmp_path


@pytest.fixture
def worker(
    transactional_db: None, temporal: DevServer, ledger: Path, queue: str
) -> Iterator[Job]:
    """Run a worker in this process."""
    job = Job(task_queue=queue, concurrent=4)
    with working(job):
        yield job
