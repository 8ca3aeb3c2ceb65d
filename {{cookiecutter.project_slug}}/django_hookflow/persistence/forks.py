"""Forks: runs that begin as a copy of another, up to one of its steps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django_hookflow.exceptions import RunNotFailed
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import StepNotFound
from django_hookflow.journal import UNDO
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import database
from django_hookflow.persistence import drivers
from django_hookflow.persistence import runs
from django_hookflow.persistence import sql


def origin_of(run_id: str, step_id: str) -> tuple[WorkflowRun, int]:
    """Return a run, and the position of a step that it has reached.

    Raises RunNotFound, StepNotFound, and RunNotFailed for a branch.
    """
    run = runs.rows().filter(run_id=run_id).first()
    if run is None:
        raise RunNotFound(run_id)
    if run.is_branch:
        parent = run.parent.run_id if run.parent else ""
        raise RunNotFailed(run_id, run.status, parent)
    steps = StepExecution.objects.using(database.using())
    reached = steps.filter(workflow_run=run).exclude(kind=UNDO)
    positions = dict(
        reached.order_by("position").values_list("step_id", "position")
    )
    if step_id not in positions:
        raise StepNotFound(run_id, step_id, "that it has reached", positions)
    return run, positions[step_id]


def fork(
    origin: WorkflowRun, position: int, data: Any, timeout: timedelta | None
) -> WorkflowRun:
    """Create a run that has the recorded steps of another before one."""
    run = runs.new_run(
        run_id=database.new_token(),
        workflow_id=origin.workflow_id,
        version=origin.version,
        owner=origin.owner,
        data=data,
        timeout=timeout,
    )
    run.origin = origin
    with database.atomic():
        runs.create(run)
        drivers.execute(sql.FORK, (run.pk, origin.pk, position))
    return run
