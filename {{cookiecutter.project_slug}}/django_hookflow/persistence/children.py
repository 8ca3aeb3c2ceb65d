"""Runs that a step of another run waits for: begun, looked at, cancelled.

A child ends in a commit of its own. Only a statement after that commit looks
whether its parent waits, and wakes it; a parent looks after the commit with
which it begins to wait. So one of the two sees the other. A process that dies
between commit and look leaves the child due, and the sweeper looks.

Lock order: a parent, then its children.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from collections.abc import Iterable

from django.db.models import Q

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
from django_hookflow.states import CLAIMABLE
from django_hookflow.states import TERMINAL
from django_hookflow.states import Request
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus


def begin(parent: WorkflowRun, starts: Iterable[Start]) -> list[WorkflowRun]:
    """Create the runs that a parent begins to wait for."""
    return [_begin(parent, start) for start in starts]


def _begin(parent: WorkflowRun, start: Start) -> WorkflowRun:
    earlier = _earlier(parent, start)
    child = runs.new_run(
        run_id=database.new_token(),
        workflow_id=start.workflow_id,
        data=json.loads(start.data),
        origin=earlier,
    )
    child.parent, child.parent_step = parent, start.step_id
    child.depth = parent.depth + 1
    runs.create(child)
    if earlier is not None:
        events.hand_over(earlier, child)
    return child


def _earlier(parent: WorkflowRun, start: Start) -> WorkflowRun | None:
    """The child of the run that `parent` goes on for, if it is the same."""
    if parent.origin_id is None:
        return None
    earlier = (
        runs.rows()
        .filter(
            parent=parent.origin_id,
            parent_step=start.step_id,
            workflow_id=start.workflow_id,
        )
        .first()
    )
    if earlier is None or earlier.data != json.loads(start.data):
        return None
    return earlier


def of_step(parent: WorkflowRun, step_id: str) -> Child | None:
    """How the run stands that a step has started."""
    found = runs.rows().filter(parent=parent, parent_step=step_id).first()
    if found is None:
        return None
    if found.status not in TERMINAL:
        return Child(run_id=found.run_id, is_open=True)
    return Child(
        run_id=found.run_id,
        is_open=False,
        result=json.dumps(found.result),
        failure=_failure(found),
    )


def _failure(child: WorkflowRun) -> Failure | None:
    if child.status == RunStatus.COMPLETED:
        return None
    if child.status == RunStatus.FAILED:
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
    if parent is None or parent.status in TERMINAL:
        return _told(child)
    waits = StepExecution.objects.using(database.using()).filter(
        workflow_run=parent,
        step_id=child.parent_step,
        status=StepStatus.WAITING,
    )
    if not waits.exists():
        return _told(child)
    woken = runs.wake(parent)
    if woken is not None:
        return [*_told(child), woken]
    now = clock.now()
    parent.refresh_from_db(fields=["status", "wake_at"])
    if parent.status == RunStatus.WAITING and runs.is_due(parent, now):
        return _told(child)
    # It may have looked before the end, and not yet have begun to wait.
    later = database.overdue_after(now)
    runs.rows().filter(pk=child.pk).update(sweep_at=later)
    return []


def after_wait(parent: WorkflowRun, entry: Entry) -> list[Delivery]:
    """Return the message that wakes a parent if its child has ended.

    Ask after the commit with which it began to wait in the step of `entry`.
    """
    ended = runs.rows().filter(
        parent=parent, parent_step=entry.step_id, status__in=TERMINAL
    )
    child = ended.first()
    return after_end(child) if child is not None else []


def _told(child: WorkflowRun) -> list[Delivery]:
    """Take note that its parent knows, or never will."""
    runs.rows().filter(pk=child.pk).update(sweep_at=None)
    return []


def overdue(limit: int) -> list[WorkflowRun]:
    """Runs that have ended and whose parents may not know it."""
    ended = runs.rows().filter(sweep_at__lte=clock.now(), status__in=TERMINAL)
    return list(ended.order_by("sweep_at")[:limit])


def cancel(parents: Collection[int]) -> None:
    """Cancel the open children of runs by their keys, and theirs.

    Those at rest are cancelled at once, those at work when their step ends.
    """
    now = clock.now()
    at_work = Q(lease_until__gt=now) & ~Q(lease_token="")
    children = (
        runs.rows()
        .filter(parent__in=parents, status__in=CLAIMABLE)
        .order_by("pk")
    )
    held = list(children.select_for_update().values_list("pk", flat=True))
    if not held:
        return
    open_ = runs.rows().filter(pk__in=held)
    open_.update(requested=Request.CANCEL)
    resting = list(open_.exclude(at_work).values_list("pk", flat=True))
    runs.rows().filter(pk__in=resting).update(
        status=RunStatus.CANCELLED,
        wake_token=database.new_token(),
        wake_at=None,
        lease_token="",
        lease_until=None,
        sweep_at=None,
        completed_at=now,
    )
    cancel(resting)
