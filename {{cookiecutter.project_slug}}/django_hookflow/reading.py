"""Questions about runs that views, the admin and commands share.

Public: `WorkflowRun.objects.current(run_id)`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from django.db import models

from django_hookflow.dlq import DeadLetterEntry

RunT = TypeVar("RunT", bound=models.Model)


class RunManager(models.Manager[RunT]):
    """`WorkflowRun.objects`."""

    def current(self, run_id: str) -> RunT | None:
        """Return the run of an id, or the last replay of it.

        A replay of a dead letter is a new run with an id of its own, and may
        fail and be replayed in turn. None when no row of them is left.
        """
        found = self.filter(run_id=run_id).first()
        created_at = getattr(found, "created_at", None)
        while letter := self._replayed_letter(run_id, created_at):
            run_id = letter.replayed_as
            replay = self.filter(run_id=run_id).first()
            created_at = getattr(replay, "created_at", letter.created_at)
            found = replay or found
        return found

    def _replayed_letter(
        self, run_id: str, created_at: datetime | None
    ) -> DeadLetterEntry | None:
        """An older letter is of another run, which had this id before."""
        letters = DeadLetterEntry.objects.using(self.db).filter(
            run_id=run_id, is_replayed=True
        )
        if created_at is not None:
            letters = letters.filter(created_at__gte=created_at)
        return letters.first()
