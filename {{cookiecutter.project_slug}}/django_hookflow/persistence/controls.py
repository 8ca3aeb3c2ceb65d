"""Cancel runs: those at rest now, those at work between two of their steps.

A live lease is never taken. It gets another name, so that its owner's next
write finds it gone, looks, and learns that its run is to stop.

Lock order: a parent, then its children.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from dataclasses import field

from django.db.models import F
from django.db.models import QuerySet
from django.db.models import Value
from django.db.models.functions import Concat

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import HookflowError
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import RunNotOpen
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import children
from django_hookflow.persistence import database
from django_hookflow.persistence import events
from django_hookflow.persistence import questions
from django_hookflow.persistence import runs
from django_hookflow.states import CANCELLABLE
from django_hookflow.states import Request
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus


@dataclass(slots=True)
class Stopped:
    """The rest of a cancellation, to be done once it is committed."""

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
    stopped = Stopped()
    found = runs.rows().filter(run_id=run_id)
    with database.atomic():
        if not _cancel(found, stopped):
            raise _why_not(found.first(), run_id)
        ended = found.filter(status=RunStatus.CANCELLED, parent__isnull=False)
        stopped.ended += ended
        ended.update(sweep_at=database.overdue_after(clock.now()))
    return stopped


def cancel_children(parents: Collection[int]) -> Stopped:
    """Cancel the open children of runs by their keys, and theirs."""
    stopped = Stopped()
    _cancel(runs.rows().filter(parent__in=parents), stopped)
    return stopped


def _why_not(run: WorkflowRun | None, run_id: str) -> HookflowError:
    if run is None:
        return RunNotFound(run_id)
    return RunNotOpen(run_id, run.status)


def _cancel(wanted: QuerySet[WorkflowRun], stopped: Stopped) -> bool:
    """Cancel those that may be; False if there was none."""
    now = clock.now()
    open_ones = wanted.filter(status__in=CANCELLABLE).order_by("pk")
    held = list(open_ones.select_for_update())
    if not held:
        return False
    working = [
        run
        for run in held
        if run.lease_token and run.lease_until and run.lease_until > now
    ]
    resting = [run for run in held if run not in working]
    _rows(working).exclude(requested=Request.CANCEL).update(
        requested=Request.CANCEL,
        lease_token=Concat("lease_token", Value(runs.ASKED)),
    )
    questions.close_all(resting)
    with_undo = _with_undo(resting)
    stopped.addresses += events.addresses_of([r.run_id for r in resting])
    for run in resting:
        if run.pk in with_undo:
            stopped.messages.append(_roll_back(run))
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
    _cancel(runs.rows().filter(parent__in=resting), stopped)
    return True


def _roll_back(run: WorkflowRun) -> Delivery:
    """Let the next delivery of a run undo its steps."""
    now = clock.now()
    token = database.new_token()
    _rows([run]).update(
        status=RunStatus.COMPENSATING,
        requested=Request.CANCEL,
        wake_token=token,
        wake_at=now,
        lease_token="",
        lease_until=None,
        sweep_at=database.overdue_after(now),
        messages=F("messages") + 1,
        error_type="",
        error_message="",
        error_step="",
    )
    return runs.delivery_for(run, token, now)


def _with_undo(found: Collection[WorkflowRun]) -> set[int]:
    """Return the keys of runs that have a step to undo."""
    steps = StepExecution.objects.using(database.using())
    to_undo = steps.filter(workflow_run__in=found).exclude(undo="")
    undone = to_undo.exclude(status=StepStatus.COMPENSATED)
    return set(undone.values_list("workflow_run_id", flat=True))


def _rows(found: Collection[WorkflowRun]) -> QuerySet[WorkflowRun]:
    return runs.rows().filter(pk__in=[run.pk for run in found])
