"""Open runs go on under another transport, and back."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.contrib.temporal.tests import programs
from django_hookflow.contrib.temporal.tests.asking import ended
from django_hookflow.contrib.temporal.tests.asking import new_id
from django_hookflow.contrib.temporal.tests.asking import of_execution
from django_hookflow.contrib.temporal.tests.asking import status_of
from django_hookflow.contrib.temporal.tests.conftest import TRANSPORT
from django_hookflow.contrib.temporal.tests.server import wait_until
from django_hookflow.contrib.temporal.worker import Job
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.moves import move_run
from django_hookflow.transports.memory import MemoryTransport
from django_hookflow.transports.memory import memory_transport

MEMORY = "django_hookflow.transports.memory.MemoryTransport"

pytestmark = pytest.mark.usefixtures("workflows")


@pytest.fixture
def memory(worker: Job, settings: Any) -> MemoryTransport:
    """Use the transport of the webhook, beside a worker of Temporal."""
    settings.DJANGO_HOOKFLOW_TRANSPORT = MEMORY
    memory_transport().reset()
    return memory_transport()


def test_a_run_that_waits_goes_on_in_temporal_and_back(
    memory: MemoryTransport, settings: Any
) -> None:
    run_id = workflow(programs.travel).trigger(run_id=new_id())
    memory.drain()
    assert programs.effects() == ["enter first"]

    settings.DJANGO_HOOKFLOW_TRANSPORT = TRANSPORT
    send_event("leave", run_id=run_id)
    wait_until(lambda: waits_in(run_id, "leave-second"))
    assert status_of(run_id) == WorkflowExecutionStatus.RUNNING

    settings.DJANGO_HOOKFLOW_TRANSPORT = MEMORY
    send_event("leave", run_id=run_id)
    memory.drain()
    assert row(run_id).result == "arrived"
    assert programs.effects() == ["enter first", "enter second", "arrive"]
    of_execution(run_id, lambda handle: handle.terminate())


def test_a_run_that_has_not_begun_is_moved_to_temporal(
    memory: MemoryTransport, settings: Any
) -> None:
    run_id = workflow(programs.ship).trigger(
        data={"to": "Ada"}, run_id=new_id()
    )

    settings.DJANGO_HOOKFLOW_TRANSPORT = TRANSPORT
    move_run(run_id)

    assert ended(run_id).result == "to Ada"


def test_a_run_that_both_transports_move_moves_once(
    memory: MemoryTransport, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_TRANSPORT = TRANSPORT
    run_id = workflow(programs.steady).trigger(run_id=new_id())
    settings.DJANGO_HOOKFLOW_TRANSPORT = MEMORY
    move_run(run_id)

    def finished() -> bool:
        memory.drain(times=2)
        return row(run_id).is_finished

    wait_until(finished)

    assert ended(run_id).result == 6
    assert programs.effects() == [f"step-{number}" for number in range(6)]


def row(run_id: str) -> WorkflowRun:
    return WorkflowRun.objects.get(run_id=run_id)


def waits_in(run_id: str, step_id: str) -> bool:
    run = row(run_id)
    steps = run.step_executions.filter(step_id=step_id, status="waiting")
    return run.status == "waiting" and steps.exists()
