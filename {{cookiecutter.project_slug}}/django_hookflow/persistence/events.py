"""Events: sent once, and consumed by one wait."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from datetime import datetime
from datetime import timedelta
from itertools import chain
from uuid import NAMESPACE_OID
from uuid import uuid5

from django.db.models import Q
from django.db.models import QuerySet

from django_hookflow import clock
from django_hookflow.conf import conf
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import EventConflict
from django_hookflow.exceptions import RunNotFound
from django_hookflow.journal import RACER
from django_hookflow.journal import Entry
from django_hookflow.models import Event
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import database
from django_hookflow.persistence import runs
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus

# A run in one of these may yet come to the wait that its journal has.
RECEIVING = (RunStatus.WAITING, RunStatus.RUNNING, RunStatus.PAUSED)
TURN = "pg_advisory_xact_lock(hashtextextended(%s, 0))"
SHARED_TURN = "pg_advisory_xact_lock_shared(hashtextextended(%s, 0))"


def send(event: Event, run_id: str | None) -> tuple[bool, list[Delivery]]:
    """Keep an event for the run `run_id`, or for one that waits for its match.

    Returns whether it is new, and the messages that wake waiting runs.
    """
    with database.atomic():
        if run_id is None:
            _take_turns(_by_match(event.name, event.match))
        else:
            event.run = _receiver(run_id)
        if not _insert(event):
            return False, []
        if event.run is None:
            return True, _wake_next(event.name, event.match)
        return True, _wake(_waiting_at(event.run, event.name))


def broadcast(event: Event, workflow_id: str) -> tuple[int, list[Delivery]]:
    """Send a copy of an event to each run that waits for it now.

    An empty match is any, and so is an empty `workflow_id`. Returns to how
    many it is new, and the messages that wake them.
    """
    with database.atomic():
        # No run suspends at a wait for this name meanwhile.
        _take_turns(_by_name(event.name))
        waits = _waits().filter(event_name=event.name)
        if event.match:
            waits = waits.filter(event_match=event.match)
        receivers = runs.rows().filter(
            pk__in=waits.values("workflow_run"), status__in=RECEIVING
        )
        if workflow_id:
            receivers = receivers.filter(workflow_id=workflow_id)
        return _send_copies(event, list(receivers.order_by("pk")))


def _send_copies(
    event: Event, receivers: list[WorkflowRun]
) -> tuple[int, list[Delivery]]:
    held = runs.hold([run.pk for run in receivers])
    copies = {_copy_id(event, run): run for run in receivers if run.pk in held}
    known = _events().filter(name=event.name, event_id__in=copies)
    for event_id in known.values_list("event_id", flat=True):
        del copies[event_id]
    _events().bulk_create(
        Event(
            name=event.name,
            run=run,
            data=event.data,
            event_id=event_id,
            created_at=event.created_at,
        )
        for event_id, run in copies.items()
    )
    return len(copies), _wake(copies.values())


def _copy_id(event: Event, run: WorkflowRun) -> str:
    """Return an id that is the same when the event is sent again."""
    return uuid5(NAMESPACE_OID, f"{event.event_id} {run.pk}").hex


def pass_on(run: WorkflowRun, abandoned: list[Entry]) -> list[Delivery]:
    """Let others have the events that a run may have been woken for.

    It does not stand at these waits any more, so no event looks for it there.
    """
    _at_waits(run, abandoned).update(event_name="", event_match="")
    if any(entry.kind == RACER for entry in abandoned):
        _at(run, abandoned).filter(kind=RACER).delete()
    addresses = {entry.address for entry in abandoned if entry.event_match}
    woken = [_wake_next(*address) for address in sorted(addresses)]
    return list(chain.from_iterable(woken))


def addresses_of(run_ids: Collection[str]) -> list[tuple[str, str]]:
    """Return the name and match of events that these runs wait for."""
    waits = _waits().filter(workflow_run__run_id__in=run_ids)
    found = waits.exclude(event_match="").order_by("event_name", "event_match")
    return list(found.values_list("event_name", "event_match").distinct())


def offer(addresses: Iterable[tuple[str, str]], most: int) -> list[Delivery]:
    """Wake up to `most` others at each where a run did not come to look."""
    messages: list[Delivery] = []
    for name, match in addresses:
        with database.atomic():
            _take_turns(_by_match(name, match))
            messages += _wake_next(name, match, most)
    return messages


def pass_over(late: Collection[str]) -> list[Delivery]:
    """Let others have what overdue runs, by id, may have been woken for."""
    return offer(addresses_of(late), len(late))


def take_turns_of(run: WorkflowRun, waits: Iterable[Entry]) -> None:
    """Wait for those who send an event to where a run waits, or waited.

    All in one order, so that no two wait for each other.
    """
    entries = [entry for entry in waits if entry.event_name]
    if not entries:
        return
    addresses = sorted({e.address for e in entries if e.event_match})
    _take_turns(
        _by_run(run),
        *(_by_match(*address) for address in addresses),
        shared=[
            _by_name(name) for name in sorted({e.event_name for e in entries})
        ],
    )


def close(run: WorkflowRun, waits: Iterable[Entry]) -> None:
    """Let no event look for a run at the waits of a race that is decided.

    They keep their address until pass_on(), which may come in the delivery
    of another worker.
    """
    _at_waits(run, waits).update(status=StepStatus.SKIPPED)


def has_come(run: WorkflowRun, waits: Collection[Entry]) -> bool:
    """True if an event is there that a run is about to wait for.

    Ask in its turn. If it is not, its sender finds the run waiting once this
    transaction has committed.
    """
    named = [entry for entry in waits if entry.event_name]
    return bool(named) and next_for(run, named) is not None


def next_for(run: WorkflowRun, waits: Collection[Entry]) -> Event | None:
    """Return the oldest event that one of the waiting steps may consume."""
    return _unconsumed(run, waits).first()


def consume(
    run: WorkflowRun, waits: Mapping[str, Entry]
) -> tuple[str, Event] | None:
    """Consume the next event; return the name of the wait it is for, and it.

    That is the first one, if several may have it.
    """
    event = (
        _unconsumed(run, waits.values())
        .select_for_update(skip_locked=True, of=("self",))
        .first()
    )
    if event is None:
        return None
    _events().filter(pk=event.pk).update(
        consumed_at=clock.now(), consumed_by=run
    )
    is_mine = event.run_id == run.pk
    return next(
        (name, event)
        for name, entry in waits.items()
        if entry.event_name == event.name
        and (is_mine or entry.event_match == event.match)
    )


def hand_over(failed: WorkflowRun, replay: WorkflowRun) -> None:
    """Give a retry the events that the failed run did not consume.

    A sender of an event to the failed run waits for this transaction, and
    then finds the retry.
    """
    _take_turns(_by_run(failed))
    _events().filter(run=failed, consumed_at=None).update(run=replay)


def _unconsumed(run: WorkflowRun, waits: Collection[Entry]) -> QuerySet[Event]:
    wanted = Q()
    for entry in waits:
        address = Q(run=run)
        if entry.event_match:
            address |= Q(match=entry.event_match)
        wanted |= Q(address, name=entry.event_name)
    return _events().filter(wanted, consumed_at=None).order_by("id")


def _insert(event: Event) -> bool:
    """False when an event of this name and id was sent there before."""
    columns = {"match": event.match, "run": event.run, "data": event.data}
    there, is_new = _events().get_or_create(
        name=event.name,
        event_id=event.event_id,
        defaults=columns | {"created_at": event.created_at},
    )
    if not _is_same_address(there, event):
        raise EventConflict(event.name, event.event_id)
    return is_new


def _is_same_address(there: Event, event: Event) -> bool:
    """True if both were sent to one match, or to one run.

    A run, its replays and those that continue it are one.
    """
    if there.match != event.match:
        return False
    if there.run is None or event.run is None:
        return there.run is event.run
    if there.run.root_id == event.run.root_id:
        return True
    last = there.run
    while (after := runs.following(last)) is not None:
        last = after
    return last == event.run


def _receiver(run_id: str) -> WorkflowRun:
    """Return the run of this id, or the last that continues it, in its turn.

    Its row stays until the COMMIT, else that would fail for an event of none.
    """
    found = runs.rows().filter(run_id=run_id).first()
    if found is None:
        raise RunNotFound(run_id)
    _take_turns(_by_run(found))
    while (after := runs.following(found)) is not None:
        found = after
        _take_turns(_by_run(found))
    if not runs.hold([found.pk]):
        raise RunNotFound(run_id)
    return found


def _by_run(run: WorkflowRun) -> str:
    """Return the address of all events that are sent to one run."""
    return f"run {run.pk}"


def _by_match(name: str, match: str) -> str:
    return f"match {match} {name}"


def _by_name(name: str) -> str:
    return f"name {name}"


def _take_turns(*addresses: str, shared: Collection[str] = ()) -> None:
    """Let one sender or waiter of an address at a time, until the COMMIT.

    `shared`: addresses at which several may be, but none of the others.

    A waiter looks for events and then suspends; a sender looks for waiters
    and then commits. Without turns each may miss the other. SQLite has one
    writer anyway.
    """
    django = database.connection()
    if django.vendor == "postgresql":
        locks = [TURN] * len(addresses) + [SHARED_TURN] * len(shared)
        with django.cursor() as cursor:
            cursor.execute(
                f"SELECT {', '.join(locks)}",
                [f"hookflow {address}" for address in (*addresses, *shared)],
            )


def _wake_next(name: str, match: str, most: int = 1) -> list[Delivery]:
    """Wake as many as there are events for, those that wait for longest.

    Ask in the turn of the address, which excludes others. Events are counted
    before the runs that are awake: if one is consumed meanwhile, one run too
    many is woken, and never one too few.
    """
    now = clock.now()
    due = Q(workflow_run__wake_at__lte=now)
    standing = _standing(name, match, now)
    asleep = standing.filter(workflow_run__status=RunStatus.WAITING)
    next_ones = list(asleep.exclude(due).order_by("pk")[:most])
    if not next_ones:
        return []
    awake = standing.filter(due | Q(workflow_run__status=RunStatus.RUNNING))
    there = _events().filter(name=name, match=match, consumed_at=None)
    found = there[: awake.count() + most].count()
    wanted = max(0, found - awake.count())
    return _wake(step.workflow_run for step in next_ones[:wanted])


def _wake(waiting: Iterable[WorkflowRun]) -> list[Delivery]:
    woken = [runs.wake(run) for run in waiting]
    return [delivery for delivery in woken if delivery is not None]


def _standing(name: str, match: str, now: datetime) -> QuerySet[StepExecution]:
    """Waits for an event whose runs sleep at them, or come to look for it.

    Without those that are overdue: they may never come.
    """
    since = now - timedelta(seconds=conf.DJANGO_HOOKFLOW_SWEEP_AFTER)
    sleeping = Q(workflow_run__status=RunStatus.WAITING) & ~Q(
        workflow_run__wake_at__lte=since
    )
    looking = Q(workflow_run__status=RunStatus.RUNNING) & Q(
        workflow_run__lease_until__gt=now
    )
    return (
        _waits()
        .filter(sleeping | looking, event_name=name, event_match=match)
        .select_related("workflow_run")
    )


def _waits() -> QuerySet[StepExecution]:
    steps = StepExecution.objects.using(database.using())
    return steps.filter(status=StepStatus.WAITING).exclude(event_name="")


def wake(run: WorkflowRun, name: str) -> list[Delivery]:
    """Return the message that wakes a run which waits for this event."""
    return _wake(_waiting_at(run, name))


def take_turn_at(run: WorkflowRun) -> None:
    """Wait for those who send an event to a run, or suspend it at one."""
    _take_turns(_by_run(run))


def _waiting_at(run: WorkflowRun, name: str) -> QuerySet[WorkflowRun]:
    """Return the run, if it waits for an event of this name."""
    waits = _waits().filter(event_name=name)
    return runs.rows().filter(pk=run.pk, step_executions__in=waits)


def _at_waits(
    run: WorkflowRun, waits: Iterable[Entry]
) -> QuerySet[StepExecution]:
    return _at(run, waits).filter(status=StepStatus.WAITING)


def _at(run: WorkflowRun, waits: Iterable[Entry]) -> QuerySet[StepExecution]:
    steps = StepExecution.objects.using(database.using())
    step_ids = [entry.step_id for entry in waits]
    return steps.filter(workflow_run=run, step_id__in=step_ids)


def _events() -> QuerySet[Event]:
    return Event.objects.using(database.using())
