"""Ask the server what has become of executions."""

from __future__ import annotations

import uuid
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.client import WorkflowExecutionStatus

from django_hookflow.contrib.temporal.client import call
from django_hookflow.contrib.temporal.tests.server import wait_until
from django_hookflow.models import WorkflowRun


def new_id() -> str:
    """Return an id that the server has not seen."""
    return f"run-{uuid.uuid4().hex}"


def ended(run_id: str) -> WorkflowRun:
    """Return the row of a run once it and its execution have ended."""

    def finished() -> WorkflowRun | None:
        run = WorkflowRun.objects.get(run_id=run_id)
        return run if run.is_finished else None

    run = wait_until(finished)
    wait_until(lambda: status_of(run_id) != WorkflowExecutionStatus.RUNNING)
    return run


def status_of(run_id: str) -> WorkflowExecutionStatus:
    status: WorkflowExecutionStatus = execution(run_id).status
    return status


def execution(run_id: str) -> Any:
    return of_execution(run_id, lambda handle: handle.describe())


def events_of(run_id: str) -> list[str]:
    """Return the kinds of the events of an execution."""
    history = of_execution(run_id, lambda handle: handle.fetch_history())
    return [
        EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        for event in history.events
    ]


def of_execution(run_id: str, ask: Any) -> Any:
    return of_client(lambda client: ask(client.get_workflow_handle(run_id)))


def of_client(ask: Any) -> Any:
    async def asked(client: Client) -> Any:
        return await ask(client)

    return call(asked, 60)
