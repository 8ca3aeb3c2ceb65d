"""The changes that people and programs have made to runs, a row each."""

from __future__ import annotations

from django_hookflow import clock
from django_hookflow.models import AuditEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import database
from django_hookflow.persistence import runs
from django_hookflow.reading import HIDE
from django_hookflow.states import PAUSABLE


def state_of(run_id: str) -> str:
    """Return how a run stands: "running", or "running, to pause".

    Empty when there is no such run.
    """
    run = runs.rows().filter(run_id=run_id).first()
    return _state(run) if run is not None else ""


def _state(run: WorkflowRun) -> str:
    if run.status in PAUSABLE and run.requested:
        return f"{run.status}, to {run.requested}"
    return run.status


def is_hidden(run_id: str) -> bool:
    """Return True if a run was hidden from lists."""
    return (
        AuditEntry.objects.using(database.using())
        .filter(run__run_id=run_id, action=HIDE)
        .exists()
    )


def note(
    run_id: str, action: str, by: str, reason: str, before: str, after: str
) -> None:
    """Write that a run was changed by an action."""
    AuditEntry.objects.using(database.using()).create(
        run=runs.rows().get(run_id=run_id),
        action=action,
        by=by,
        reason=reason,
        before=before,
        after=after,
        created_at=clock.now(),
    )
