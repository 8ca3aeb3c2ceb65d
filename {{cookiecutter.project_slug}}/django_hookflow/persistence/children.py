"""Runs that a step of another run waits for: begun, and looked at.

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
from hashlib import sha256
from typing import Any

from django.db.models import Exists
from django.db.models import OuterRef
from django.db.models import QuerySet

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.journal import CANCELLED
from django_hookflow.journal import MAP
from django_hookflow.journal import PARALLEL
from django_hookflow.journal import UNDO_SUFFIX
from django_hookflow.journal import Child
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.outcomes import Start
from django_hookflow.persistence import branches
from django_hookflow.persistence import database
from django_hookflow.persistence import events
from django_hookflow.persistence import runs
from django_hookflow.states import TERMINAL
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus

UNDOS_AT_ONCE = 10  # runs of one step that are rolled back side by side

# A step to undo in a run, which knows none of that in its own row.
UNDOABLE = Exists(
    StepExecution.objects.filter(workflow_run=OuterRef("pk"))
    .exclude(undo="")
    .exclude(status=StepStatus.COMPENSATED)
)


def begin(parent: WorkflowRun, starts: Iterable[Start]) -> list[WorkflowRun]:
    """Create the runs that a parent begins to wait for."""
    return [child for start in starts for child in _begin_all(parent, start)]


def _begin_all(parent: WorkflowRun, start: Start) -> list[WorkflowRun]:
    if start.undoes:
        return _begin_undos(parent, start)
    if start.branches:
        return _begin_branches(parent, start)
    return [_begin(parent, start)]


def _begin(parent: WorkflowRun, start: Start) -> WorkflowRun:
    data = json.loads(start.data)
    earlier = _earlier(parent, start).first()
    if earlier is not None and (
        _first_data(earlier) != data or earlier.status == RunStatus.COMPENSATED
    ):
        earlier = None
    child = _new(parent, start, earlier)
    if earlier is None:
        child.data = data
    _create(child)
    return child


def _begin_branches(parent: WorkflowRun, start: Start) -> list[WorkflowRun]:
    """Create branches; so many of them are due as may be at work at once.

    Of a run that goes on for another, those that had completed there have
    their results from the beginning.
    """
    earlier = {}
    if parent.origin_id is not None and _is_same(parent.origin_id, start):
        undone = _earlier(parent, start).exclude(status=RunStatus.COMPENSATED)
        earlier = {run.branch: run for run in undone}
    children = []
    tickets = start.at_once
    for branch in range(start.branches):
        before = earlier.get(branch)
        child = _new(parent, start, before)
        child.version = parent.version
        child.branch, child.has_ticket = branch, False
        child.root_id = _root_id(parent, start.step_id, branch)
        if before is not None and before.status == RunStatus.COMPLETED:
            _finish(child, before)
        elif tickets > 0 or child.status != RunStatus.PENDING:
            child.has_ticket = True
            tickets -= 1
        else:
            child.wake_at = child.sweep_at = None
            child.messages = 0
        children.append(child)
    goes_on = [child for child in children if _goes_on(child)]
    runs.rows().bulk_create(c for c in children if not _goes_on(c))
    for child in goes_on:
        _create(child)
    return children


def _begin_undos(parent: WorkflowRun, start: Start) -> list[WorkflowRun]:
    """Create the runs that roll back what others of a parent have done."""
    left = left_to_undo(parent, start.step_id)[:UNDOS_AT_ONCE]
    return [_begin_undo(parent, start.step_id, done) for done in left]


def _begin_undo(
    parent: WorkflowRun, step_id: str, done: WorkflowRun
) -> WorkflowRun:
    undo = runs.new_run(
        run_id=database.new_token(),
        workflow_id=done.workflow_id,
        version=done.version,
        owner=done.owner,
        data=done.data,
        origin=done,
    )
    undo.status = RunStatus.COMPENSATING
    undo.error_type = CANCELLED
    undo.error_message = f"run {parent.run_id} was rolled back"
    undo.parent, undo.parent_step = parent, step_id
    undo.branch, undo.depth = done.branch, parent.depth + 1
    undo.has_ticket = True if done.is_branch else None
    runs.create(undo)
    return undo


def left_to_undo(parent: WorkflowRun, undo_step: str) -> list[WorkflowRun]:
    """Return the runs to roll back for the undo of a step: the last first.

    Those that completed, or a run that failed to roll one back. `parent` may
    go on for runs that had the step before, or a part of its undo.
    """
    step_id = undo_step.removesuffix(UNDO_SUFFIX)
    line = _line(parent)
    rows = runs.rows().defer("result")  # of many, and not needed
    begun = rows.filter(parent__in=line, parent_step=step_id)
    tried: dict[int, WorkflowRun] = {}
    for key in reversed(line):
        of_it = rows.filter(parent=key, parent_step=undo_step)
        tried |= {undo.branch: undo for undo in of_it}
    left = []
    for run in with_undo(begun):
        undo = tried.get(run.branch)
        if undo is None:
            left.append(run)
        elif undo.parent_id != parent.pk and not _is_undone(undo):
            left.append(undo)
    return left


def _line(run: WorkflowRun) -> list[int]:
    """Return the keys of a run and of those for which it goes on."""
    line = [run.pk]
    while run.is_retry and run.origin is not None:
        run = run.origin
        line.append(run.pk)
    return line


def with_undo(among: QuerySet[WorkflowRun]) -> QuerySet[WorkflowRun]:
    """Return those that have completed and can be rolled back."""
    done = among.filter(UNDOABLE, status=RunStatus.COMPLETED)
    return done.order_by("-completed_at", "-branch")


def with_undo_left(parents: Collection[WorkflowRun]) -> set[int]:
    """Return the keys of runs that wait for some that can be rolled back."""
    waiting = StepExecution.objects.filter(
        workflow_run=OuterRef("parent"),
        step_id=OuterRef("parent_step"),
        status=StepStatus.WAITING,
    )
    done = with_undo(runs.rows().filter(Exists(waiting), parent__in=parents))
    return {key for (key,) in done.values_list("parent_id")}


def _is_undone(run: WorkflowRun) -> bool:
    return run.status == RunStatus.COMPENSATED


def _goes_on(child: WorkflowRun) -> bool:
    return child.origin is not None and not child.is_finished


def _new(
    parent: WorkflowRun, start: Start, earlier: WorkflowRun | None
) -> WorkflowRun:
    child = runs.new_run(
        run_id=database.new_token(),
        workflow_id=start.workflow_id or parent.workflow_id,
        version=(earlier and earlier.version) or start.version,
        owner=parent.owner,
        data=earlier.data if earlier else {},
        origin=earlier,
        timeout=start.timeout,
    )
    child.parent, child.parent_step = parent, start.step_id
    child.depth = parent.depth + 1
    return child


def _create(child: WorkflowRun) -> None:
    runs.create(child)
    if child.origin is not None:
        events.hand_over(child.origin, child)


def _finish(child: WorkflowRun, before: WorkflowRun) -> None:
    """Make a new branch one that has completed before."""
    child.status, child.result = before.status, before.result
    child.started_at, child.completed_at = before.started_at, clock.now()
    child.wake_at = child.sweep_at = None
    child.messages = 0


def _is_same(origin: int, start: Start) -> bool:
    """True if a step of an earlier run had the branches that it has now."""
    step = _step(origin, start.step_id).first()
    of: str = json.loads(start.data)["of"]
    return step is not None and bool(step.result) and step.result["of"] == of


def _root_id(parent: WorkflowRun, step_id: str, branch: int) -> str:
    """Return the name of which idempotency keys of a branch are made."""
    name = "\0".join((parent.root_id, step_id, str(branch)))
    return sha256(name.encode()).hexdigest()[:32]


def _earlier(parent: WorkflowRun, start: Start) -> QuerySet[WorkflowRun]:
    """Return the children of the failed run that `parent` goes on for."""
    if parent.origin_id is None or not parent.is_retry:
        return runs.rows().none()
    earlier = _at(parent.origin_id, start.step_id)
    return earlier.filter(workflow_id=start.workflow_id or parent.workflow_id)


def _step(parent: int, step_id: str) -> QuerySet[StepExecution]:
    steps = StepExecution.objects.using(database.using())
    return steps.filter(workflow_run=parent, step_id=step_id)


def _first_data(child: WorkflowRun) -> object:
    """Return the data that a step gave, whatever run goes on for it now."""
    while child.origin is not None:
        child = child.origin
    return child.data


def _at(parent: int, step_id: str) -> QuerySet[WorkflowRun]:
    """Return the run that a step has started, by the key of its parent."""
    return runs.rows().filter(parent=parent, parent_step=step_id)


def of_step(parent: WorkflowRun, step_id: str) -> list[Child]:
    """Return how the runs stand that a step has started, in order."""
    begun = _at(parent.pk, step_id).annotate(has_undo=UNDOABLE)
    return [
        _child(run, has_undo=run.has_undo) for run in begun.order_by("branch")
    ]


def _child(run: WorkflowRun, *, has_undo: bool) -> Child:
    if not run.is_finished:
        return Child(is_open=True, branch=run.branch)
    return Child(
        is_open=False,
        has_undo=has_undo and run.status == RunStatus.COMPLETED,
        is_undone=_is_undone(run),
        branch=run.branch,
        result=json.dumps(run.result),
        failure=_failure(run),
    )


def _failure(child: WorkflowRun) -> Failure | None:
    if child.status == RunStatus.COMPLETED:
        return None
    if child.error_type:
        return Failure(type=child.error_type, message=child.error_message)
    return Failure(
        type=CANCELLED, message=f"run {child.run_id} was {child.status}"
    )


def after_end(child: WorkflowRun, *, lazily: bool = False) -> list[Delivery]:
    """Return the messages that follow the end of a run with a parent.

    Ask after the commit of its end: one wakes its parent, unless that does
    not wait for it, or comes to look by itself. A branch that was cancelled
    passes its ticket on. `lazily`: a branch whose end decides nothing stays
    due, until another one's does or the sweeper comes: so its end is one
    commit.
    """
    messages = _passed_on(child) if child.has_ticket else []
    known = runs.rows().filter(pk=child.pk)
    parent = runs.rows().filter(children=child.pk).first()
    step = None if parent is None else _waiting_step(parent, child.parent_step)
    if parent is not None and step is not None:
        if child.is_branch:
            if not _is_decided(parent, step.result, child):
                if not lazily:
                    known.update(sweep_at=None)
                return messages
            known = _at(parent.pk, child.parent_step).filter(
                status__in=TERMINAL
            )
        woken = runs.wake(parent)
        if woken is not None:
            messages.append(woken)
        elif not _comes_to_look(parent):
            later = database.overdue_after(clock.now())
            runs.rows().filter(pk=child.pk).update(sweep_at=later)
            return messages
    # Its parent knows, or never will.
    known.exclude(sweep_at=None).update(sweep_at=None)
    return messages


def _passed_on(child: WorkflowRun) -> list[Delivery]:
    with database.atomic():
        following = branches.take_from(child)
    return [] if following is None else [runs.due(following)]


def _waiting_step(parent: WorkflowRun, step_id: str) -> StepExecution | None:
    """Return the step in which a parent waits for its children, if it does."""
    if parent.is_finished:
        return None
    return _step(parent.pk, step_id).filter(status=StepStatus.WAITING).first()


def _is_decided(
    parent: WorkflowRun, plan: dict[str, Any] | None, child: WorkflowRun
) -> bool:
    """True if a fan-out needs to wait for no more of its branches.

    Only what the end of `child` may have decided is looked up: that of
    another is looked up after that.
    """
    if not branches.open_ones(parent, child.parent_step).exists():
        return True
    if plan is None:  # of an undo, which waits for all
        return False
    has_completed = child.status == RunStatus.COMPLETED
    if has_completed and plan["enough"] == plan["branches"]:
        return False
    ended = _at(parent.pk, child.parent_step).filter(status__in=TERMINAL)
    completed = ended.filter(status=RunStatus.COMPLETED)
    if has_completed:
        return completed.count() >= int(plan["enough"])
    failed = ended.exclude(status=RunStatus.COMPLETED)
    return failed.count() > int(plan["tolerate"])


def _comes_to_look(parent: WorkflowRun) -> bool:
    """True if a delivery that is yet to come finds the end of a child.

    One that is at work may have looked before, and not yet begun to wait.
    """
    parent.refresh_from_db(fields=["status", "wake_at", "lease_token"])
    if parent.status == RunStatus.PAUSED:  # it looks when it is resumed
        return True
    rests = parent.status in runs.WAITS and not parent.lease_token
    return rests and runs.is_due(parent, clock.now())


def after_wait(parent: WorkflowRun, entry: Entry) -> list[Delivery]:
    """Return the messages for a parent that waits while its children end.

    Ask after the commit with which it began to wait in the step of `entry`.
    """
    ended = _at(parent.pk, entry.step_id).filter(status__in=TERMINAL)
    messages = []
    # Of branches, one that failed may decide, or one that completed.
    for child in (
        ended.filter(status=RunStatus.COMPLETED).first(),
        ended.exclude(status=RunStatus.COMPLETED).first(),
    ):
        messages += [] if child is None else after_end(child)
    if entry.kind in (MAP, PARALLEL):
        following = branches.restart(parent, entry.step_id)
        messages += [] if following is None else [runs.due(following)]
    return messages


def overdue(limit: int) -> list[WorkflowRun]:
    """Return runs that have ended and whose parents may not know it."""
    ended = runs.rows().filter(sweep_at__lte=clock.now(), status__in=TERMINAL)
    return list(ended.order_by("sweep_at", "pk")[:limit])
