"""Find the runs whose message was lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from datetime import timedelta

from django.db.models import F
from django.db.models import Min
from django.db.models import Q
from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from django_hookflow import clock
from django_hookflow.conf import conf
from django_hookflow.delivery import Delivery
from django_hookflow.models import ENDLESS
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import children
from django_hookflow.persistence import database
from django_hookflow.persistence import runs
from django_hookflow.states import CLAIMABLE
from django_hookflow.states import RunStatus


def sweep(limit: int) -> list[Delivery]:
    """Messages for the runs that are overdue, at most `limit`.

    The live token is sent again, so that a first message which comes late
    after all is the same one, not a second chain.
    """
    now = clock.now()
    with database.atomic():
        overdue = (
            _overdue(now)
            .select_for_update(skip_locked=True)
            .order_by("sweep_at", "pk")[:limit]
        )
        messages = [_again(run, now) for run in overdue]
    for child in children.overdue(limit - len(messages)):
        messages += children.after_end(child)
    return messages


def look_again(limit: int, before: datetime) -> list[Delivery]:
    """Wake runs that wait without a time, last replayed before `before`.

    The code may have changed since: what its row says that a run waits for
    is what the code asked for then.
    """
    with database.atomic():
        timeless = (
            runs.rows()
            .filter(ENDLESS, status=RunStatus.WAITING)
            .filter(claimed_at__lte=before)
            .select_for_update(skip_locked=True)
            .order_by("claimed_at", "pk")[:limit]
        )
        woken = [runs.wake(run) for run in timeless]
    return [delivery for delivery in woken if delivery is not None]


def clear_backoff() -> int:
    """Make backed-off runs due for the next sweep; return how many."""
    now = clock.now()
    late = now - timedelta(seconds=conf.DJANGO_HOOKFLOW_SWEEP_AFTER)
    return (
        _open_until(now + runs.LONGEST_PAUSE)
        .filter(Q(lease_until=None) | Q(lease_until__lte=late))
        .filter(sweep_at__gt=now, wake_at__lte=late)
        .update(sweep_at=now)
    )


def overdue_count() -> int:
    """Return the number of runs the sweeper would send for now."""
    return _overdue(clock.now()).count()


def overdue_seconds() -> float:
    """Return the age in seconds of the most overdue run, or 0.

    Back-off is capped at one hour, so the index of `sweep_at` bounds the scan.
    """
    now = clock.now()
    due = Coalesce("lease_until", "wake_at")
    oldest = _open_until(now + runs.LONGEST_PAUSE).aggregate(due=Min(due))[
        "due"
    ]
    return max(0.0, (now - oldest).total_seconds()) if oldest else 0.0


def _overdue(now: datetime) -> QuerySet[WorkflowRun]:
    return _open_until(now).filter(
        Q(lease_until=None) | Q(lease_until__lte=now)
    )


def _open_until(sweep_at: datetime) -> QuerySet[WorkflowRun]:
    """Return open runs that the sweeper would send for until then."""
    return runs.rows().filter(sweep_at__lte=sweep_at, status__in=CLAIMABLE)


def _again(run: WorkflowRun, now: datetime) -> Delivery:
    pause = runs.backoff(run.lease_until or run.wake_at or now, now)
    runs.rows().filter(pk=run.pk).update(
        sweep_at=now + pause, messages=F("messages") + 1
    )
    delivery = runs.delivery_for(run, run.wake_token, now)
    return replace(delivery, repeat=run.messages)
