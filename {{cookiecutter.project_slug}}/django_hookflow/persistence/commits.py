"""A delivery's last write: all of its verdict, or nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextlib import nullcontext
from dataclasses import replace

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.journal import Entry
from django_hookflow.journal import Journal
from django_hookflow.models import WorkflowRun
from django_hookflow.outcomes import Verdict
from django_hookflow.persistence import database
from django_hookflow.persistence import events
from django_hookflow.persistence import letters
from django_hookflow.persistence import runs
from django_hookflow.persistence.entries import JournalWriter
from django_hookflow.states import RunStatus


def commit(
    run: WorkflowRun, verdict: Verdict, journal: Journal
) -> list[Delivery]:
    """Write a verdict; returns the messages it asks for, to send afterwards.

    Raises LeaseLost, with nothing written, when the run is not ours.
    """
    token = database.new_token()
    abandoned = journal.abandoned(verdict.entry)
    messages: list[Delivery] = []
    with database.fenced(), _together(verdict, abandoned):
        events.take_turns_of(run, [*abandoned, verdict.entry])
        if verdict.entry is not None and events.has_come(run, verdict.entry):
            verdict = replace(verdict, wake_at=clock.now())
        runs.commit(run, verdict, token)
        if abandoned:
            messages = events.pass_on(run, abandoned)
        if verdict.entry is not None:
            # The lease has just ended, and with it the token in the row.
            JournalWriter(run, lease_token="").append(verdict.entry)
        if verdict.status == RunStatus.FAILED:
            letters.bury(run, verdict)
    if verdict.wake_at is not None:
        messages.append(runs.delivery_for(run, token, verdict.wake_at))
    return messages


def _together(
    verdict: Verdict, abandoned: list[Entry]
) -> AbstractContextManager[None]:
    """A transaction; none where one statement says all of the verdict."""
    is_one = verdict.entry is None and verdict.status != RunStatus.FAILED
    return nullcontext() if is_one and not abandoned else database.atomic()
