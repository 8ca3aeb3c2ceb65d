"""Pause, resume and cancel runs: those at rest now, those at work between
two of their steps.

A live lease is never taken. It gets another name, so that its owner's next
write finds it gone, looks, and learns what the run is asked for now.

Lock order: a parent, then its children.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field

from django.db.models import Q
from django.db.models import QuerySet

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import RunNotOpen
from django_hookflow.exceptions import RunNotPaused
from django_hookflow.journal import STARTING
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import children
from django_hookflow.persistence import database
from django_hookflow.persistence import events
from django_hookflow.persistence import questions
from django_hookflow.persistence import runs
from django_hookflow.states import CANCELLABLE
from django_hookflow.states import PAUSABLE
from django_hookflow.states import Request
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus


@dataclass(slots=True)
class Stopped:
    """The rest of a request, to be done once it is committed."""

    messages: list[Delivery] = field(default_factory=list)  # to be sent
    # Events for which runs may have been woken that will not consume them.
    addresses: list[tuple[str, str]] = field(default_factory=list)
    ended: list[WorkflowRun] = field(default_factory=list)  # with a parent

    def follow_up(self) -> list[Delivery]:
        """Tell parents and other waiting runs; return all messages.

        If the process dies before, the sweeper does it.
        """
        for run in self.ended:
            self.messages += children.after_end(run)
        self.messages += events.offer(self.addresses, 1)
        return self.messages


def cancel(run_id: str) -> Stopped:
    """Cancel one run, and its children.

    Raises RunNotFound, and RunNotOpen when there is nothing to cancel.
    """
    found = runs.rows().filter(run_id=run_id)
    with database.atomic():
        stopped = _stop(run_id, _cancel, "cancel", CANCELLABLE)
        ended = found.filter(status=RunStatus.CANCELLED, parent__isnull=False)
        stopped.ended += ended
        ended.update(sweep_at=database.overdue_after(clock.now()))
    return stopped


def cancel_children(parents: Collection[int]) -> Stopped:
    """Cancel the open children of runs by their keys, and theirs."""
    stopped = Stopped()
    _cancel(runs.rows().filter(parent__in=parents), stopped)
    return stopped


def cancel_of_step(parent: WorkflowRun, step_id: str) -> Stopped:
    """Cancel the open runs that one step has started."""
    stopped = Stopped()
    of_step = runs.rows().filter(parent=parent, parent_step=step_id)
    _cancel(of_step, stopped)
    return stopped


def pause(run_id: str) -> Stopped:
    """Pause one run, and its children.

    Raises RunNotFound, and RunNotOpen when there is nothing to pause.
    """
    with database.atomic():
        return _stop(run_id, _pause, "pause", PAUSABLE)


def resume(run_id: str) -> list[Delivery]:
    """Let a paused run go on, and its children; return their messages.

    Raises RunNotFound, and RunNotPaused.
    """
    found = runs.rows().filter(run_id=run_id)
    with database.atomic():
        messages = _resume(found)
        if messages is None:
            run = found.first()
            if run is None:
                raise RunNotFound(run_id)
            raise RunNotPaused(run_id, run.status)
    return messages


def _stop(
    run_id: str,
    stop: Callable[[QuerySet[WorkflowRun], Stopped], bool],
    verb: str,
    may: Iterable[str],
) -> Stopped:
    """Stop a run in one way, or raise why it cannot be."""
    stopped = Stopped()
    found = runs.rows().filter(run_id=run_id)
    if stop(found, stopped):
        return stopped
    run = found.first()
    if run is None:
        raise RunNotFound(run_id)
    is_asked = run.status in CANCELLABLE
    status = "to be cancelled" if is_asked else run.status
    raise RunNotOpen(run_id, status, verb, may)


def _pause(wanted: QuerySet[WorkflowRun], stopped: Stopped) -> bool:
    """Pause those that may be; False if there was none."""
    wanted = wanted.exclude(requested=Request.CANCEL)
    working, resting = _held(wanted, PAUSABLE | {RunStatus.PAUSED})
    if not working and not resting:
        return False
    _ask(working, Request.PAUSE)
    awake = [run for run in resting if run.status != RunStatus.PAUSED]
    stopped.addresses += events.addresses_of([r.run_id for r in awake])
    _rows(awake).update(
        status=RunStatus.PAUSED,
        requested=Request.PAUSE,
        wake_token=database.new_token(),
        lease_token="",
        lease_until=None,
        sweep_at=None,
    )
    _pause(runs.rows().filter(parent__in=working + resting), stopped)
    return True


def _resume(wanted: QuerySet[WorkflowRun]) -> list[Delivery] | None:
    """Return the messages of those that go on; None if there was none."""
    asked = wanted.filter(requested=Request.PAUSE)
    working, resting = _held(asked, PAUSABLE | {RunStatus.PAUSED})
    held = working + resting
    if not held:
        return None
    paused = [run for run in resting if run.status == RunStatus.PAUSED]
    _ask([run for run in held if run not in paused], Request.NOTHING)
    called = _with_news(paused)
    # A branch that no other has given a ticket still waits for its turn.
    held_back = [run for run in paused if run.is_held_back]
    _rows(held_back).update(
        status=RunStatus.PENDING, requested=Request.NOTHING
    )
    sent = [
        _go_on(run, at_once=run.pk in called)
        for run in paused
        if not run.is_held_back
    ]
    below = _resume(runs.rows().filter(parent__in=held)) or []
    return [*filter(None, sent), *below]


def _with_news(paused: Collection[WorkflowRun]) -> set[int]:
    """Return the keys of runs that wait for what may have come meanwhile."""
    steps = StepExecution.objects.using(database.using())
    waits = steps.filter(workflow_run__in=paused, status=StepStatus.WAITING)
    called = waits.filter(~Q(event_name="") | Q(kind__in=STARTING))
    return set(called.values_list("workflow_run_id", flat=True))


def _go_on(run: WorkflowRun, *, at_once: bool) -> Delivery | None:
    """Send now if the time of a paused run has come, else when it comes."""
    now = clock.now()
    has_begun = run.started_at is not None
    return runs.make_due(
        run,
        runs.rows(),
        now if at_once else max(run.wake_at or now, now),
        status=RunStatus.WAITING if has_begun else RunStatus.PENDING,
        requested=Request.NOTHING,
    )


def _held(
    wanted: QuerySet[WorkflowRun], statuses: Collection[str]
) -> tuple[list[WorkflowRun], list[WorkflowRun]]:
    """Lock those of some statuses; return those at work, and the others."""
    now = clock.now()
    found = wanted.filter(status__in=statuses).order_by("pk")
    # It waits for no sender of an event, who only keeps the row.
    held = list(found.select_for_update(no_key=True))
    working = [
        run
        for run in held
        if run.lease_token and run.lease_until and run.lease_until > now
    ]
    return working, [run for run in held if run not in working]


def _ask(found: Collection[WorkflowRun], request: Request) -> None:
    """Ask runs for something, which their workers learn at their next write.

    What they are asked for already, they are not asked for again.
    """
    others = _rows(found).exclude(requested=request)
    others.exclude(lease_token="").update(
        requested=request, lease_token=runs.another_name()
    )
    others.update(requested=request)


def _cancel(wanted: QuerySet[WorkflowRun], stopped: Stopped) -> bool:
    """Cancel those that may be; False if there was none."""
    now = clock.now()
    working, resting = _held(wanted, CANCELLABLE)
    if not working and not resting:
        return False
    _ask(working, Request.CANCEL)
    # First: what a child of them has done when it is stopped, they undo.
    _cancel(runs.rows().filter(parent__in=resting), stopped)
    questions.close_all(resting)
    with_undo = _with_undo(resting)
    stopped.addresses += events.addresses_of([r.run_id for r in resting])
    sent = [_roll_back(run) for run in resting if run.pk in with_undo]
    stopped.messages += filter(None, sent)
    _rows([run for run in resting if run.pk not in with_undo]).update(
        status=RunStatus.CANCELLED,
        requested=Request.CANCEL,
        wake_token=database.new_token(),
        wake_at=None,
        lease_token="",
        lease_until=None,
        sweep_at=None,
        completed_at=now,
    )
    return True


def _roll_back(run: WorkflowRun) -> Delivery | None:
    """Let the next delivery of a run undo its steps."""
    return runs.make_due(
        run,
        runs.rows(),
        clock.now(),
        status=RunStatus.COMPENSATING,
        requested=Request.CANCEL,
        lease_token="",
        lease_until=None,
        error_type="",
        error_message="",
        error_step="",
    )


def _with_undo(found: Collection[WorkflowRun]) -> set[int]:
    """Return the keys of runs that have a step to undo, or had one."""
    steps = StepExecution.objects.using(database.using())
    with_undo = steps.filter(workflow_run__in=found).exclude(undo="")
    return {
        *with_undo.values_list("workflow_run_id", flat=True),
        *children.with_undo_left(found),
    }


def _rows(found: Collection[WorkflowRun]) -> QuerySet[WorkflowRun]:
    return runs.rows().filter(pk__in=[run.pk for run in found])
