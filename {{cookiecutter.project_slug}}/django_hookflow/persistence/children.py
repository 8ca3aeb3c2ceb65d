"""Runs that a step of another run waits for: begun, and looked at.

A child ends in a commit of its own. Only a statement after that commit looks
whether its parent waits, and wakes it; a parent looks after the commit with
which it begins to wait. So one of the two sees the other. A process that dies
between commit and look leaves the child due, and the sweeper looks.

Lock order: a parent, then its children.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.db.models import QuerySet

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.journal import Child
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.outcomes import Start
from django_hookflow.persistence import database
from django_hookflow.persistence import events
from django_hookflow.persistence import runs
from django_hookflow.states import TERMINAL
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus


def begin(parent: WorkflowRun, starts: Iterable[Start]) -> list[WorkflowRun]:
    """Create the runs that a parent begins to wait for."""
    return [_begin(parent, start) for start in starts]


def _begin(parent: WorkflowRun, start: Start) -> WorkflowRun:
    data = json.loads(start.data)
    earlier = _earlier(parent, start)
    if earlier is not None and (
        earlier.data != data or earlier.status == RunStatus.COMPENSATED
    ):
        earlier = None
    child = runs.new_run(
        run_id=database.new_token(),
        workflow_id=start.workflow_id,
        version=earlier.version if earlier else start.version,
        owner=parent.owner,
        data=data,
        origin=earlier,
        timeout=start.timeout,
    )
    child.parent, child.parent_step = parent, start.step_id
    child.depth = parent.depth + 1
    runs.create(child)
    if earlier is not None:
        events.hand_over(earlier, child)
    return child


def _earlier(parent: WorkflowRun, start: Start) -> WorkflowRun | None:
    """Return the child of the run that `parent` continues, if any."""
    if parent.origin_id is None or parent.is_fork:
        return None
    earlier = _at(parent.origin_id, start.step_id)
    return earlier.filter(workflow_id=start.workflow_id).first()


def _at(parent: int, step_id: str) -> QuerySet[WorkflowRun]:
    """Return the run that a step has started, by the key of its parent."""
    return runs.rows().filter(parent=parent, parent_step=step_id)


def of_step(parent: WorkflowRun, step_id: str) -> Child | None:
    """Return the state of the run that a step has started."""
    found = _at(parent.pk, step_id).first()
    if found is None:
        return None
    if not found.is_finished:
        return Child(is_open=True)
    return Child(
        is_open=False,
        result=json.dumps(found.result),
        failure=_failure(found),
    )


def _failure(child: WorkflowRun) -> Failure | None:
    if child.status == RunStatus.COMPLETED:
        return None
    if child.error_type:
        return Failure(type=child.error_type, message=child.error_message)
    return Failure(
        type="RunCancelled", message=f"run {child.run_id} was {child.status}"
    )


def after_end(child: WorkflowRun) -> list[Delivery]:
    """Return the message that wakes the parent of a run that has ended.

    Ask after the commit of its end. There is none if the parent does not wait
    for it, or comes to look by itself.
    """
    parent = runs.rows().filter(children=child.pk).first()
    woken = None
    if parent is not None and _waits(parent, child.parent_step):
        woken = runs.wake(parent)
        if woken is None and not _comes_to_look(parent):
            later = database.overdue_after(clock.now())
            runs.rows().filter(pk=child.pk).update(sweep_at=later)
            return []
    # Its parent knows, or never will.
    runs.rows().filter(pk=child.pk).update(sweep_at=None)
    return [] if woken is None else [woken]


def _waits(parent: WorkflowRun, step_id: str) -> bool:
    """True if a parent has not recorded the end of a step's run."""
    steps = StepExecution.objects.using(database.using()).filter(
        workflow_run=parent, step_id=step_id, status=StepStatus.WAITING
    )
    return not parent.is_finished and steps.exists()


def _comes_to_look(parent: WorkflowRun) -> bool:
    """True if a delivery that is yet to come finds the end of a child.

    One that is at work may have looked before, and not yet begun to wait.
    """
    parent.refresh_from_db(fields=["status", "wake_at"])
    if parent.status == RunStatus.PAUSED:  # it looks when it is resumed
        return True
    return parent.status == RunStatus.WAITING and runs.is_due(
        parent, clock.now()
    )


def after_wait(parent: WorkflowRun, entry: Entry) -> list[Delivery]:
    """Return the message that wakes a parent if its child has ended.

    Ask after the commit with which it began to wait in the step of `entry`.
    """
    ended = _at(parent.pk, entry.step_id).filter(status__in=TERMINAL).first()
    return [] if ended is None else after_end(ended)


def overdue(limit: int) -> list[WorkflowRun]:
    """Return runs that have ended and whose parents may not know it."""
    ended = runs.rows().filter(sweep_at__lte=clock.now(), status__in=TERMINAL)
    return list(ended.order_by("sweep_at")[:limit])
