"""Sweep, clean up and erase.

Commands do it, and the maintenance webhook where nothing can start one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet

from django_hookflow import clock
from django_hookflow import signals
from django_hookflow import tracing
from django_hookflow.conf import conf
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.questions import remind
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.retention import Erased
from django_hookflow.persistence.retention import Expired as Expired
from django_hookflow.sending import announce
from django_hookflow.sending import send
from django_hookflow.tracing import Span
from django_hookflow.transports import get_transport

SWEEP_LIMIT = 1000  # runs that one sweep sends for
SWEEP_BATCH = 50  # of them between two looks at the time
OLDEST = 36_500  # days; a century is as good as never

SWEEP = "sweep"
CLEANUP = "cleanup"
# How often each is done, when nothing else says so.
USUALLY = {SWEEP: timedelta(minutes=1), CLEANUP: timedelta(days=1)}
# What tracers call them.
MONITORS = {SWEEP: "hookflow-sweep", CLEANUP: "cleanup-workflows"}


@dataclass(frozen=True, slots=True)
class Swept:
    """The result of one sweep."""

    rung: int  # runs it sent a message for
    left: int  # runs that are overdue beyond its limit or its time
    oldest: float  # seconds since the first of all was due


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Numbers of deleted rows."""

    runs: int
    events: int
    letters: int
    more: bool  # whether its time was up before everything was deleted


def sweep(limit: int = SWEEP_LIMIT) -> int:
    """Send again for runs that are overdue; returns how many.

    With what is left of `limit`, look again at runs that have waited without
    a time for DJANGO_HOOKFLOW_LOOK_AGAIN seconds. Remind people of questions
    that are due.
    """
    remind(limit)
    messages = WorkflowPersistence.sweep(limit)
    for message in messages:
        announce(signals.run_swept, message)
        send(message)
    # Events that they were woken for may still be there, for other runs.
    late = [message.run_id for message in messages]
    for message in WorkflowPersistence.pass_over(late) if late else ():
        send(message)
    swept, pause = len(messages), conf.DJANGO_HOOKFLOW_LOOK_AGAIN
    if pause and swept < limit:
        before = clock.now() - timedelta(seconds=pause)
        swept += look_again(limit - swept, before)
    return swept


def sweep_within(
    limit: int = SWEEP_LIMIT, seconds: float | None = None
) -> Swept:
    """Sweep in batches, at most `limit` runs, for about `seconds`."""
    until = None if seconds is None else _later(seconds)
    oldest = WorkflowPersistence.overdue_seconds()
    rung, left = 0, 0
    while rung < limit:
        batch = min(limit - rung, SWEEP_BATCH)
        found = sweep(batch)
        rung += found
        if found < batch:
            return Swept(rung, 0, oldest)
        if _is_past(until):
            break
    left = WorkflowPersistence.overdue_count()
    return Swept(rung, left, oldest)


def look_again(limit: int, before: datetime) -> int:
    """Replay runs that wait without a time, unless replayed since `before`.

    Returns how many. One that still waits for the same suspends again.
    """
    messages = WorkflowPersistence.look_again(limit, before)
    for message in messages:
        send(message)
    return len(messages)


def look_again_at_all() -> int:
    """Replay every run that waits without a time; return how many."""
    start, total = clock.now(), 0
    while found := look_again(SWEEP_BATCH, start):
        total += found
    return total


def clean(seconds: float | None = None) -> Cleaned:
    """Delete what ended DJANGO_HOOKFLOW_KEEP_DAYS ago, for about `seconds`."""
    until = None if seconds is None else _later(seconds)
    expired = WorkflowPersistence.expired(
        clock.now() - timedelta(days=conf.DJANGO_HOOKFLOW_KEEP_DAYS)
    )
    kinds = (expired.runs, expired.events, expired.letters)
    runs, events, letters = (_delete(rows, until) for rows in kinds)
    more = _is_past(until) and any(rows.exists() for rows in kinds)
    return Cleaned(runs, events, letters, more)


def expired(before: datetime) -> Expired:
    """Return the rows that may be deleted: what ended before a time."""
    return WorkflowPersistence.expired(before)


def delete(rows: QuerySet[Any]) -> Iterator[int]:
    """Delete expired rows in batches; yield how many each batch had."""
    return WorkflowPersistence.delete_expired(rows)


def erase(run_id: str, *, and_open: bool, dry_run: bool) -> Erased:
    """Delete a run with its replays, whatever their age."""
    return WorkflowPersistence.erase(
        run_id, and_open=and_open, dry_run=dry_run
    )


def clear_backoff() -> None:
    """Let the next sweep send for all overdue runs, also those put off."""
    WorkflowPersistence.clear_backoff()


def resend(run: WorkflowRun, not_before: datetime | None = None) -> None:
    """Send the live message of a run once more; raises TransportError."""
    message = WorkflowPersistence.delivery_for(run, run.wake_token, not_before)
    get_transport().send(message)


def watched(task: str, every: timedelta) -> Span:
    """Return a context in which tracers watch a task of this interval."""
    return tracing.job(MONITORS[task], every)


def _delete(rows: QuerySet[Any], until: datetime | None) -> int:
    total = 0
    for deleted in WorkflowPersistence.delete_expired(rows):
        total += deleted
        if _is_past(until):
            break
    return total


def _later(seconds: float) -> datetime:
    return clock.now() + timedelta(seconds=seconds)


def _is_past(until: datetime | None) -> bool:
    return until is not None and clock.now() >= until
