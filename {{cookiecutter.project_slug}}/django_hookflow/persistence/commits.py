"""A delivery's last write: all of its verdict, or nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextlib import nullcontext
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.journal import INVOKE
from django_hookflow.journal import Entry
from django_hookflow.journal import Journal
from django_hookflow.models import Question
from django_hookflow.models import WorkflowRun
from django_hookflow.outcomes import Verdict
from django_hookflow.persistence import children
from django_hookflow.persistence import controls
from django_hookflow.persistence import database
from django_hookflow.persistence import events
from django_hookflow.persistence import letters
from django_hookflow.persistence import questions
from django_hookflow.persistence import runs
from django_hookflow.persistence.controls import Stopped
from django_hookflow.persistence.recorder import JournalWriter
from django_hookflow.states import RunStatus


@dataclass(slots=True)
class Committed:
    """The messages to send after a commit, and what it began."""

    messages: list[Delivery] = field(default_factory=list)  # to be sent
    begun: list[WorkflowRun] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)


def commit(run: WorkflowRun, verdict: Verdict, journal: Journal) -> Committed:
    """Write a verdict.

    Raises LeaseLost when the run is not ours, and runs.RequestChanged when
    the verdict must be another; then nothing is written.
    """
    token = database.new_token()
    waits = () if verdict.entry is None else (verdict.entry, *verdict.racers)
    abandoned = journal.abandoned(waits)
    goes_on = verdict.status == RunStatus.WAITING
    leaves_child = not goes_on and journal.has_open_child
    stopped: Stopped | None = None
    done = Committed()
    with database.fenced():
        with _together(verdict, others=bool(abandoned) or leaves_child):
            if abandoned or waits:
                events.take_turns_of(run, [*abandoned, *waits])
            if waits and events.has_come(run, waits):
                verdict = replace(verdict, wake_at=clock.now())
            runs.commit(run, verdict, token)
            if abandoned:
                done.messages += events.pass_on(run, abandoned)
                questions.close(run, abandoned)
            if waits:
                _append(run, waits)
                done.begun += children.begin(run, verdict.starts)
                done.asked += questions.ask(run, verdict.asks)
            if leaves_child:
                stopped = controls.cancel_children([run.pk])
            # A parent deals with the failure of its child, or fails with it.
            if verdict.status == RunStatus.FAILED and run.parent_id is None:
                letters.add(run, verdict)
        done.messages += _looks(run, verdict, stopped)
    done.messages += [
        runs.delivery_for(child, child.wake_token) for child in done.begun
    ]
    if verdict.wake_at is not None:
        done.messages.append(runs.delivery_for(run, token, verdict.wake_at))
    return done


def _append(run: WorkflowRun, waits: tuple[Entry, ...]) -> None:
    # The lease has just ended, and with it the token in the row.
    writer = JournalWriter(run, lease_token="")
    for entry in waits:
        writer.append(entry)


def _looks(
    run: WorkflowRun, verdict: Verdict, stopped: Stopped | None
) -> list[Delivery]:
    """Look after a commit whether a parent and its child know each other.

    `stopped`: what the end of the run has stopped.
    """
    messages = stopped.follow_up() if stopped is not None else []
    if verdict.is_final and run.parent_id is not None:
        messages += children.after_end(run)
    entry = verdict.entry
    if entry is not None and entry.kind == INVOKE and not verdict.starts:
        messages += children.after_wait(run, entry)
    return messages


def _together(
    verdict: Verdict, *, others: bool
) -> AbstractContextManager[None]:
    """Return a transaction; none where one statement writes the verdict.

    `others`: whether it changes what other runs wait for.
    """
    is_one = verdict.entry is None and verdict.status != RunStatus.FAILED
    return nullcontext() if is_one and not others else database.atomic()
