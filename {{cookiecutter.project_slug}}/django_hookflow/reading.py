"""Questions about runs that views, the admin and commands share.

Public: `WorkflowRun.objects.current(run_id)`.
"""

from __future__ import annotations

from typing import TypeVar

from django.db import models
from django.db.models import F

from django_hookflow.dlq import DeadLetterEntry

RunT = TypeVar("RunT", bound=models.Model)


class RunManager(models.Manager[RunT]):
    """`WorkflowRun.objects`."""

    def current(self, run_id: str) -> RunT | None:
        """Return the run of an id, or the last that continues it.

        The retry of a dead letter is a new run with an id of its own, and may
        fail and be retried in turn. None when no row of them is left.
        """
        found = self.filter(run_id=run_id).first()
        if found is None:
            letters = DeadLetterEntry.objects.using(self.db)
            letter = letters.filter(run_id=run_id, is_replayed=True).first()
            return self.current(letter.replayed_as) if letter else None
        retries = self.filter(root_id=F("origin__root_id"))
        while (retry := retries.filter(origin=found.pk).first()) is not None:
            found = retry
        return found
