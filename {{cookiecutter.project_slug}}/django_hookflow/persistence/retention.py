"""Deleting what is old, in batches that hold no lock for long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from typing import TypeVar

from django.db import transaction
from django.db.models import Count
from django.db.models import Exists
from django.db.models import Min
from django.db.models import Model
from django.db.models import OuterRef
from django.db.models import Q
from django.db.models import QuerySet

from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Event
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import database
from django_hookflow.persistence import events
from django_hookflow.persistence import runs
from django_hookflow.states import TERMINAL

BATCH = 500

AnyModel = TypeVar("AnyModel", bound=Model)


@dataclass(frozen=True, slots=True)
class Expired:
    """Querysets of rows that may be deleted."""

    runs: QuerySet[WorkflowRun]
    events: QuerySet[Event]
    letters: QuerySet[DeadLetterEntry]
    kept_letters: QuerySet[DeadLetterEntry]

    def runs_by_status(self) -> dict[str, int]:
        counted = (
            self.runs.values_list("status")
            .annotate(Count("pk"))
            .order_by("status")
        )
        return dict(counted)


@dataclass(frozen=True, slots=True)
class Erased:
    """Numbers of deleted rows of a run and its replays; 0 if any is open."""

    runs: int = 0
    steps: int = 0
    events: int = 0
    letters: int = 0
    still_open: tuple[str, ...] = ()  # ids of runs that have not ended


def expired(before: datetime) -> Expired:
    """Return the rows that ended before a time.

    A dead letter that is not replayed is kept with its run, whatever its age.
    So is an event that an open run, triggered before it, may come to wait
    for, and the result of a run whose parent has not ended.
    """
    alias = database.using()
    unclaimed = min(before, _oldest_open() or before)
    letters = DeadLetterEntry.objects.using(alias)
    kept = letters.filter(is_replayed=False)
    parents = WorkflowRun.objects.using(alias).exclude(status__in=TERMINAL)
    return Expired(
        runs=WorkflowRun.objects.using(alias)
        .filter(status__in=TERMINAL, completed_at__lt=before)
        .exclude(Exists(kept.filter(workflow_run=OuterRef("pk"))))
        .exclude(Exists(parents.filter(pk=OuterRef("parent")))),
        events=Event.objects.using(alias).filter(
            consumed_at=None, run=None, created_at__lt=unclaimed
        ),
        letters=letters.filter(is_replayed=True, replayed_at__lt=before),
        kept_letters=letters.filter(is_replayed=False, created_at__lt=before),
    )


def _oldest_open() -> datetime | None:
    """When the run was triggered that has been open for longest."""
    still_open = WorkflowRun.objects.using(database.using()).exclude(
        status__in=TERMINAL
    )
    found: datetime | None = still_open.aggregate(at=Min("created_at"))["at"]
    return found


def delete(rows: QuerySet[Any]) -> Iterator[int]:
    """Delete in batches; yields how many rows each batch had.

    Counts the rows asked for, not those that go with them.
    """
    while deleted := _delete_batch(rows):
        yield deleted


def _delete_batch(rows: QuerySet[Any]) -> int:
    """Delete one batch and return its size.

    They are held first, so that no event is sent to a run between the look
    for its events and its end; those that one is sent to are left out.
    """
    model: type[Model] = rows.model
    with transaction.atomic(rows.db):
        held = rows.order_by("pk").select_for_update(skip_locked=True)
        batch = list(held.values_list("pk", flat=True)[:BATCH])
        model._default_manager.using(rows.db).filter(pk__in=batch).delete()
    return len(batch)


def erase(run_id: str, *, and_open: bool, dry_run: bool) -> Erased:
    """Delete a run with its replays, whatever their age.

    A message that still comes for one of them finds nothing, and a worker
    that holds one has lost its lease.
    """
    family = _family(run_id).values_list("run_id", flat=True)
    addresses = events.addresses_of(list(family))
    children = _family(run_id).filter(parent__isnull=False)
    parents = [*runs.rows().filter(children__in=children)]
    with database.atomic():
        erased = _erase(run_id, and_open=and_open)
        if dry_run:
            transaction.set_rollback(True, database.using())
    if erased.runs and not dry_run:
        for parent in parents:
            runs.wake(parent)
        # The sweeper sends what this asks for.
        events.offer(addresses, erased.runs)
    return erased


def _erase(run_id: str, *, and_open: bool) -> Erased:
    _hold_letters(run_id)
    family = _family(run_id)
    _hold(Event.objects.using(family.db).filter(run__in=family))
    there = _hold(family)
    still_open = tuple(r.run_id for r in there if r.status not in TERMINAL)
    if still_open and not and_open:
        return Erased(still_open=still_open)
    letters = _letters(run_id)
    _, counts = family.delete()
    return Erased(
        runs=len(there),
        steps=counts.get(StepExecution._meta.label, 0),
        events=counts.get(Event._meta.label, 0),
        letters=letters.delete()[0],
    )


def _hold_letters(run_id: str) -> None:
    """Wait for those who replay a letter; their runs may have one, too."""
    held = -1
    while len(letters := _hold(_letters(run_id))) > held:
        held = len(letters)


def _hold(rows: QuerySet[AnyModel]) -> list[AnyModel]:
    """Lock rows for the rest of the transaction."""
    return list(rows.select_for_update().order_by("pk"))


def _letters(run_id: str) -> QuerySet[DeadLetterEntry]:
    """Return the letters of a run and its replays, whose rows may be gone."""
    letters = DeadLetterEntry.objects.using(database.using())
    return letters.filter(root_id__in=_roots(run_id))


def _family(run_id: str) -> QuerySet[WorkflowRun]:
    """A run and its replays, or those of the run that it is a replay of.

    With the forks of them all.
    """
    return runs.rows().filter(root_id__in=_roots(run_id))


def _roots(run_id: str) -> set[str]:
    """Return the ids of the first runs that this id is a replay of.

    And of those that go on for these, went on as these, or are their forks.
    """
    roots = {run_id}
    models: tuple[Any, ...] = (WorkflowRun, DeadLetterEntry)
    for model in models:
        rows = model.objects.using(database.using()).filter(run_id=run_id)
        roots |= set(rows.values_list("root_id", flat=True))
    known: set[str] = set()
    while more := roots - known:
        known |= more
        linked = runs.rows().filter(
            Q(origin__root_id__in=more) | Q(retries__root_id__in=more)
        )
        roots |= set(linked.values_list("root_id", flat=True))
    return roots
