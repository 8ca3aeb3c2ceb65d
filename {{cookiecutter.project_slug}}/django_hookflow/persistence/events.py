"""Events: sent once, consumed once, found by whoever waits for them."""

from __future__ import annotations

import json

from django.db.models import Q
from django.db.models import QuerySet

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import EventConflict
from django_hookflow.exceptions import RunNotFound
from django_hookflow.journal import Entry
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Event
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import database
from django_hookflow.persistence import runs
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus


def send(event: Event, run_id: str | None) -> tuple[bool, list[Delivery]]:
    """Keep an event for the run `run_id`, or for whoever waits for its match.

    Returns whether it is new, and the messages that wake those who wait.
    """
    with database.atomic():
        if run_id is None:
            _take_turns(_by_match(event.name, event.match))
        else:
            event.run = _receiver(run_id)
        if not _insert(event):
            return False, []
        woken = [runs.wake(run) for run in _waiting_for(event)]
    return True, [delivery for delivery in woken if delivery is not None]


def has_come(run: WorkflowRun, entry: Entry) -> bool:
    """Whether the event is there that a run is about to wait for.

    If it is not, its sender finds the run waiting once this transaction has
    committed.
    """
    if not entry.event_name:
        return False
    _take_turns(_by_run(run))
    if entry.event_match:
        _take_turns(_by_match(entry.event_name, entry.event_match))
    return next_for(run, entry) is not None


def next_for(run: WorkflowRun, entry: Entry) -> Event | None:
    """The oldest event that a waiting step may consume."""
    return _unconsumed(run, entry).first()


def consume(run: WorkflowRun, entry: Entry) -> Entry | None:
    """`entry` completed with the next event, which nobody else gets then."""
    event = (
        _unconsumed(run, entry)
        .select_for_update(skip_locked=True, of=("self",))
        .first()
    )
    if event is None:
        return None
    now = clock.now()
    _events().filter(pk=event.pk).update(consumed_at=now, consumed_by=run)
    return entry._replace(
        status=StepStatus.COMPLETED,
        result=json.dumps(event.data),
        executed_at=now,
        wake_at=None,
    )


def hand_over(failed: WorkflowRun, replay: WorkflowRun) -> None:
    """Let a replay have what the run before it did not consume.

    Whoever sends that one something now waits for this transaction, and then
    finds its replay.
    """
    _take_turns(_by_run(failed))
    _events().filter(run=failed, consumed_at=None).update(run=replay)


def _unconsumed(run: WorkflowRun, entry: Entry) -> QuerySet[Event]:
    address = Q(run=run)
    if entry.event_match:
        address |= Q(match=entry.event_match)
    return (
        _events()
        .filter(address, name=entry.event_name, consumed_at=None)
        .order_by("id")
    )


def _insert(event: Event) -> bool:
    """False when an event of this name and id was sent there before."""
    columns = {"match": event.match, "run": event.run, "data": event.data}
    there, is_new = _events().get_or_create(
        name=event.name,
        event_id=event.event_id,
        defaults=columns | {"created_at": event.created_at},
    )
    if _address(there) != _address(event):
        raise EventConflict(event.name, event.event_id)
    return is_new


def _address(event: Event) -> tuple[str, str]:
    """To whom it was sent: a run and its replays are one."""
    return event.run.root_id if event.run else "", event.match


def _receiver(run_id: str) -> WorkflowRun:
    """The run of this id, or the last of its replays; it is its turn now."""
    found = runs.rows().filter(run_id=run_id).first()
    if found is None:
        raise RunNotFound(run_id)
    _take_turns(_by_run(found))
    while (replay := _replay_of(found)) is not None:
        found = replay
        _take_turns(_by_run(found))
    return found


def _replay_of(run: WorkflowRun) -> WorkflowRun | None:
    """An older letter is of another run, which had its id before."""
    replays = DeadLetterEntry.objects.using(database.using()).filter(
        run_id=run.run_id, is_replayed=True, created_at__gte=run.created_at
    )
    return runs.rows().filter(run_id__in=replays.values("replayed_as")).first()


def _by_run(run: WorkflowRun) -> str:
    """What senders and waiters must agree on to meet; here, all of a run."""
    return f"run {run.pk}"


def _by_match(name: str, match: str) -> str:
    return f"match {match} {name}"


def _take_turns(address: str) -> None:
    """Let one sender or waiter of an address at a time, until the COMMIT.

    A waiter looks for events and then suspends; a sender looks for waiters
    and then commits. Without turns each may miss the other. SQLite has one
    writer anyway.
    """
    django = database.connection()
    if django.vendor == "postgresql":
        with django.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
                [f"hookflow {address}"],
            )


def _waiting_for(event: Event) -> QuerySet[WorkflowRun]:
    """The runs to wake. One that executes looks for itself."""
    steps = StepExecution.objects.using(database.using()).filter(
        status=StepStatus.WAITING, event_name=event.name
    )
    if event.run is None:
        steps = steps.filter(event_match=event.match)
    else:
        steps = steps.filter(workflow_run=event.run)
    return runs.rows().filter(
        status=RunStatus.WAITING, step_executions__in=steps
    )


def _events() -> QuerySet[Event]:
    return Event.objects.using(database.using())
