"""Undos that a person has waived, so that a rollback goes on without them."""

from __future__ import annotations

from typing import Any

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import RunBusy
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import StepNotFound
from django_hookflow.journal import UNDO
from django_hookflow.journal import UNDO_SUFFIX
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import database
from django_hookflow.persistence import runs
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus

FAILED = (StepStatus.WAITING, StepStatus.FAILED)


def failed(run_id: str, step_id: str) -> tuple[WorkflowRun, StepExecution]:
    """Return a run, held, and the undo of a step that has failed there.

    Raises RunNotFound, StepNotFound, and RunBusy while a worker may be at it.
    """
    found = runs.rows().filter(run_id=run_id)
    run = found.first()
    if run is None:
        raise RunNotFound(run_id)
    if run.status == RunStatus.COMPENSATING:
        run = found.select_for_update(no_key=True).get()
    steps = StepExecution.objects.using(database.using())
    undos = steps.filter(workflow_run=run, kind=UNDO, status__in=FAILED)
    undos = undos.exclude(error_type="")  # it waits for others to roll back
    by_step = {undo.step_id.removesuffix(UNDO_SUFFIX): undo for undo in undos}
    if step_id not in by_step:
        raise StepNotFound(run_id, step_id, "whose undo has failed", by_step)
    if run.lease_until is not None and run.lease_until > clock.now():
        raise RunBusy(run_id)
    return run, by_step[step_id]


def waive(
    run: WorkflowRun, undo: StepExecution, reason: str
) -> list[Delivery]:
    """Pass over an undo in a run that is rolled back.

    `undo`: its row, or that of the run which this one goes on for. Returns
    the message that lets a run go on, unless it is to begin anyway.
    """
    now = clock.now()
    error = f"{undo.error_type}: {undo.error_message}"
    values: dict[str, Any] = {
        "kind": UNDO,
        "status": StepStatus.SKIPPED,
        "position": undo.position,
        "result": {"waived": reason, "error": error},
        "attempts": undo.attempts,
        "deliveries": undo.deliveries,
        "started_at": undo.started_at,
        "executed_at": now,
        "error_type": "",
        "error_message": "",
        "wake_at": None,
    }
    steps = StepExecution.objects.using(database.using())
    steps.update_or_create(
        workflow_run=run, step_id=undo.step_id, defaults=values
    )
    if run.pk != undo.workflow_run_id:
        return []
    rolled_back = runs.rows().filter(status=RunStatus.COMPENSATING)
    message = runs.make_due(run, rolled_back, now)
    return [] if message is None else [message]
