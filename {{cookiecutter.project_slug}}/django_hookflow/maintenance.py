"""What has to be done from time to time: sweeping, and cleaning up.

Commands do it for whatever can start one. Where nothing can, QStash posts to
/hookflow/maintenance/<task>/ by a schedule, and signs that like a delivery.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.http import HttpResponse
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from django_hookflow import clock
from django_hookflow import engine
from django_hookflow import tracing
from django_hookflow.conf import conf
from django_hookflow.delivery import NONSENSE
from django_hookflow.exceptions import NON_RETRYABLE
from django_hookflow.exceptions import InvalidDelivery
from django_hookflow.exceptions import LeaseLost
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.database import fenced
from django_hookflow.tracing import Span
from django_hookflow.transports import get_transport
from django_hookflow.views import NEVER_AGAIN
from django_hookflow.views import come_again
from django_hookflow.views import without_transaction

logger = logging.getLogger("django_hookflow.maintenance")

SWEEP_LIMIT = 1000  # runs that one sweep rings for
SWEEP_BATCH = 50  # of them between two looks at the time
AFTER_AN_ILLNESS = 60  # seconds until a database is asked again
OLDEST = 36_500  # days; a century is as good as never

SWEEP = "sweep"
CLEANUP = "cleanup"
# How often each is done, when nothing else says so.
USUALLY = {SWEEP: timedelta(minutes=1), CLEANUP: timedelta(days=1)}
# What tracers call them.
MONITORS = {SWEEP: "hookflow-sweep", CLEANUP: "cleanup-workflows"}


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did."""

    rung: int  # runs it rang for
    left: int  # runs that are overdue beyond its limit or its time
    oldest: float  # seconds since the first of all was due


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What one cleanup deleted."""

    runs: int
    events: int
    letters: int
    more: bool  # whether its time was up before everything was deleted


def sweep(limit: int = SWEEP_LIMIT, seconds: float | None = None) -> Swept:
    """Ring again for overdue runs, at most `limit`, for about `seconds`."""
    until = None if seconds is None else _later(seconds)
    oldest = WorkflowPersistence.overdue_seconds()
    rung, left = 0, 0
    while rung < limit:
        batch = min(limit - rung, SWEEP_BATCH)
        found = engine.sweep(batch)
        rung += found
        if found < batch:
            return Swept(rung, 0, oldest)
        if _is_past(until):
            break
    left = WorkflowPersistence.overdue_count()
    return Swept(rung, left, oldest)


def look_again() -> int:
    """Have every run that waits without a time replayed; returns how many."""
    start, total = clock.now(), 0
    while found := engine.look_again(SWEEP_BATCH, start):
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


@without_transaction
@csrf_exempt
@require_POST
def maintenance_webhook(request: HttpRequest, task: str) -> HttpResponse:
    """Do a task for as long as a delivery may take; says what it did.

    The same message again finds nothing left to do.
    """
    try:
        order = Order.decode(task, get_transport().receive_task(request, task))
    except InvalidDelivery as error:
        logger.warning(
            "A message for %s is refused: %s (%s)", task, error, error.kind
        )
        headers = NEVER_AGAIN if error.status == NON_RETRYABLE else None
        return JsonResponse(
            {"status": "refused"}, status=error.status, headers=headers
        )
    try:
        with fenced():
            done = order.obey()
    except LeaseLost as lost:
        logger.warning("%s was not done: %r", task, lost.__cause__)
        return come_again("database", AFTER_AN_ILLNESS)
    return JsonResponse({"status": "done", **asdict(done)})


@dataclass(frozen=True, slots=True)
class Order:
    """What a schedule asks for, and how often it does.

    A message never says what to delete: whoever holds QSTASH_TOKEN can have
    one signed. The age comes from DJANGO_HOOKFLOW_KEEP_DAYS.
    """

    task: str
    every: timedelta

    @classmethod
    def decode(cls, task: str, body: bytes) -> Order:
        """The order in a body such as {"every": 86400}."""
        usual = USUALLY.get(task)
        if usual is None:
            raise _malformed(f"There is no task {task!r}, only {[*USUALLY]}")
        try:
            given = {"every": usual.total_seconds()}
            given |= json.loads(body or b"{}")
            every = timedelta(seconds=given["every"])
        except (*NONSENSE, OverflowError) as error:
            raise _malformed(f"The body is no order: {error!r}") from error
        _report_ignored(given)
        return cls(task, every)

    def obey(self) -> Swept | Cleaned:
        seconds = conf.DJANGO_HOOKFLOW_DELIVERY_BUDGET
        with watched(self.task, self.every):
            if self.task == SWEEP:
                return sweep(seconds=seconds)
            return clean(seconds)


def watched(task: str, every: timedelta) -> Span:
    """What tracers see of a task, which should be done this often."""
    return tracing.job(MONITORS[task], every)


def _report_ignored(given: Mapping[str, Any]) -> None:
    """Schedules registered by earlier versions still name an age."""
    asked, ours = given.get("days_old"), conf.DJANGO_HOOKFLOW_KEEP_DAYS
    if asked not in (None, ours):
        logger.warning(
            "The message asks for days_old=%r, which is ignored: "
            "DJANGO_HOOKFLOW_KEEP_DAYS is %d. Set that, then run "
            '"manage.py hookflow_schedule" again.',
            asked,
            ours,
        )


def _malformed(reason: str) -> InvalidDelivery:
    return InvalidDelivery(reason, status=NON_RETRYABLE, kind="malformed")


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
