"""The maintenance webhook, for hosts that cannot start commands.

By a schedule, QStash posts to /hookflow/maintenance/<task>/ to have the site
swept or cleaned up, and signs that like a delivery.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.http import HttpResponse
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from django_hookflow.conf import conf
from django_hookflow.delivery import UNREADABLE
from django_hookflow.endpoints import come_again
from django_hookflow.endpoints import refused
from django_hookflow.endpoints import signed_transport
from django_hookflow.endpoints import without_transaction
from django_hookflow.exceptions import NON_RETRYABLE
from django_hookflow.exceptions import InvalidDelivery
from django_hookflow.exceptions import LeaseLost
from django_hookflow.operations.maintenance import SWEEP
from django_hookflow.operations.maintenance import USUALLY
from django_hookflow.operations.maintenance import Cleaned
from django_hookflow.operations.maintenance import Swept
from django_hookflow.operations.maintenance import clean
from django_hookflow.operations.maintenance import sweep_within
from django_hookflow.operations.maintenance import watched
from django_hookflow.persistence.database import fenced

logger = logging.getLogger("django_hookflow.maintenance")

DATABASE_PAUSE = 60  # seconds until a failing database is used again


@without_transaction
@csrf_exempt
@require_POST
def maintenance_webhook(request: HttpRequest, task: str) -> HttpResponse:
    """Run a task for as long as a delivery may take; answer with counts.

    A duplicate of the message finds nothing left to do.
    """
    try:
        asked = Task.decode(
            task, signed_transport().receive_task(request, task)
        )
    except InvalidDelivery as error:
        return refused(logger, task, error)
    try:
        with fenced():
            done = asked.run()
    except LeaseLost as lost:
        logger.warning("%s was not done: %r", task, lost.__cause__)
        return come_again("database", DATABASE_PAUSE)
    return JsonResponse({"status": "done", **asdict(done)})


@dataclass(frozen=True, slots=True)
class Task:
    """A task that a schedule asks for, and how often it does.

    A message never says what to delete, since anyone who has QSTASH_TOKEN
    can get one signed. The age comes from DJANGO_HOOKFLOW_KEEP_DAYS.
    """

    name: str
    every: timedelta

    @classmethod
    def decode(cls, name: str, body: bytes) -> Task:
        """Read a task from a body such as {"every": 86400}, in seconds."""
        usual = USUALLY.get(name)
        if usual is None:
            raise _malformed(
                f"Invalid task {name!r}, expected one of {[*USUALLY]}"
            )
        try:
            given = {"every": usual.total_seconds()}
            given |= json.loads(body or b"{}")
            every = timedelta(seconds=given["every"])
        except (*UNREADABLE, OverflowError) as error:
            raise _malformed(f"The body is not a task: {error!r}") from error
        _report_ignored(given)
        return cls(name, every)

    def run(self) -> Swept | Cleaned:
        seconds = conf.DJANGO_HOOKFLOW_DELIVERY_BUDGET
        with watched(self.name, self.every):
            if self.name == SWEEP:
                return sweep_within(seconds=seconds)
            return clean(seconds)


def _report_ignored(given: Mapping[str, Any]) -> None:
    """Warn about an age, which schedules of earlier versions still name."""

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
