"""A delivery's last write: all of its verdict, or nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextlib import nullcontext
from dataclasses import replace

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import database
from django_hookflow.persistence import events
from django_hookflow.persistence import letters
from django_hookflow.persistence import runs
from django_hookflow.persistence.entries import JournalWriter
from django_hookflow.settle import Verdict
from django_hookflow.states import RunStatus


def commit(run: WorkflowRun, verdict: Verdict) -> Delivery | None:
    """Write a verdict; returns the message it asks for, to send afterwards.

    Raises LeaseLost, with nothing written, when the run is not ours.
    """
    token = database.new_token()
    with database.fenced(), _together(verdict):
        if verdict.entry is not None and events.has_come(run, verdict.entry):
            verdict = replace(verdict, wake_at=clock.now())
        runs.commit(run, verdict, token)
        if verdict.entry is not None:
            # The lease has just ended, and with it the token in the row.
            JournalWriter(run, lease_token="").append(verdict.entry)
        if verdict.status == RunStatus.FAILED:
            letters.bury(run, verdict)
    if verdict.wake_at is None:
        return None
    return runs.delivery_for(run, token, verdict.wake_at)


def _together(verdict: Verdict) -> AbstractContextManager[None]:
    """A transaction; none where one statement says all of the verdict."""
    if verdict.entry is None and verdict.status != RunStatus.FAILED:
        return nullcontext()
    return database.atomic()
