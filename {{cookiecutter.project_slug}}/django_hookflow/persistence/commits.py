"""A delivery's last write: all of its verdict, or nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextlib import nullcontext
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import datetime

from django_hookflow import clock
from django_hookflow import stopping
from django_hookflow.delivery import Delivery
from django_hookflow.journal import MAP
from django_hookflow.journal import PARALLEL
from django_hookflow.journal import STARTING
from django_hookflow.journal import UNDO
from django_hookflow.journal import Entry
from django_hookflow.journal import Journal
from django_hookflow.models import Question
from django_hookflow.models import WorkflowRun
from django_hookflow.outcomes import Verdict
from django_hookflow.persistence import branches
from django_hookflow.persistence import children
from django_hookflow.persistence import continuing
from django_hookflow.persistence import controls
from django_hookflow.persistence import database
from django_hookflow.persistence import events
from django_hookflow.persistence import letters
from django_hookflow.persistence import questions
from django_hookflow.persistence import runs
from django_hookflow.persistence.controls import Stopped
from django_hookflow.persistence.recorder import JournalWriter
from django_hookflow.settle import ENDS_IN_ROLLBACK
from django_hookflow.states import RunStatus


class UndoLeft(Exception):
    """A run is to be rolled back first: what its children have done."""


@dataclass(slots=True)
class Committed:
    """The messages to send after a commit, and what it began."""

    messages: list[Delivery] = field(default_factory=list)  # to be sent
    begun: list[WorkflowRun] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)
    taken: WorkflowRun | None = None  # the branch to go on with, if any

    def begin(self, begun: list[WorkflowRun]) -> None:
        """Add new runs, and the messages of those that are due."""
        self.begun += begun
        self.messages += [runs.due(run) for run in begun if run.wake_at]


def commit(
    run: WorkflowRun, verdict: Verdict, journal: Journal, until: datetime
) -> Committed:
    """Write a verdict.

    `until`: how long the worker may go on with another branch.
    Raises LeaseLost when the run is not ours; runs.RequestChanged and
    UndoLeft when the verdict must be another. Then nothing is written.
    """
    token = database.new_token()
    waits = () if verdict.entry is None else (verdict.entry, *verdict.racers)
    abandoned = journal.abandoned(waits)
    is_paused = verdict.status == RunStatus.PAUSED
    goes_on = is_paused or verdict.status == RunStatus.WAITING
    leaves_child = not goes_on and bool(journal.with_open_children())
    stopped: Stopped | None = None
    done = Committed()
    others = bool(abandoned) or leaves_child or bool(run.has_ticket)
    with database.fenced():
        with _together(run, verdict, done, others=others):
            if abandoned or waits:
                verdict = _hold_events(run, verdict, abandoned, waits)
            # One that is to be called again, or whose worker's time was up,
            # keeps its ticket.
            passes = bool(run.has_ticket and (verdict.is_final or waits))
            runs.commit(run, verdict, token, passes=passes)
            if abandoned:
                done.messages += events.pass_on(run, abandoned)
                questions.close(run, abandoned)
            if waits:
                _begin_to_wait(run, verdict, waits, done)
            if leaves_child:
                stopped = _leave_children(run, verdict)
            if passes:
                _go_on(run, until, done)
            # A parent deals with the failure of its child, or fails with it.
            if verdict.status == RunStatus.FAILED and run.parent_id is None:
                letters.add(run, verdict)
        done.messages += _looks(run, verdict, stopped)
    if verdict.wake_at is not None and not is_paused:
        done.messages.append(runs.delivery_for(run, token, verdict.wake_at))
    return done


def _leave_children(run: WorkflowRun, verdict: Verdict) -> Stopped:
    """Cancel the open children of a run that does not wait for them now."""
    stopped = controls.cancel_children([run.pk])
    if verdict.status in ENDS_IN_ROLLBACK and children.with_undo_left([run]):
        raise UndoLeft
    return stopped


def _hold_events(
    run: WorkflowRun,
    verdict: Verdict,
    abandoned: list[Entry],
    waits: tuple[Entry, ...],
) -> Verdict:
    """Lock the events that a run waits, or waited, for.

    Returns the verdict, due at once if one has come meanwhile.
    """
    events.take_turns_of(run, [*abandoned, *waits])
    if waits and events.has_come(run, waits):
        return replace(verdict, wake_at=clock.now())
    return verdict


def _go_on(run: WorkflowRun, until: datetime, done: Committed) -> None:
    """Let the next branch begin: here, or where its message comes."""
    here = clock.now() < until and not stopping.is_stopping()
    lease = run.lease_token[: database.TOKEN_LENGTH] if here else ""
    following = branches.take_next(run, lease)
    if here:
        done.taken = following
    elif following is not None:
        done.messages.append(runs.due(following))


def _begin_to_wait(
    run: WorkflowRun,
    verdict: Verdict,
    waits: tuple[Entry, ...],
    done: Committed,
) -> None:
    # The lease has just ended, and with it the token in the row.
    writer = JournalWriter(run, lease_token="")
    for entry in waits:
        writer.append(entry)
    done.begin(children.begin(run, verdict.starts))
    done.asked += questions.ask(run, verdict.asks)
    addresses = [entry.address for entry in waits if entry.event_match]
    if verdict.status == RunStatus.PAUSED and addresses:
        # Others may have the events that it was woken for.
        done.messages += events.offer(addresses, 1)


def _looks(
    run: WorkflowRun, verdict: Verdict, stopped: Stopped | None
) -> list[Delivery]:
    """Look after a commit whether a parent and its child know each other.

    `stopped`: what the end of the run has stopped.
    """
    messages = stopped.follow_up() if stopped is not None else []
    if verdict.is_final and run.parent_id is not None:
        run.status = verdict.status
        messages += children.after_end(run, lazily=True)
    entry = verdict.entry
    # A run of a workflow has not ended before its first message is sent; a
    # branch may have, in an earlier run.
    looks = (MAP, PARALLEL) if verdict.starts else (*STARTING, UNDO)
    if entry is not None and entry.kind in looks:
        messages += children.after_wait(run, entry)
    return messages


def _together(
    run: WorkflowRun, verdict: Verdict, done: Committed, *, others: bool
) -> AbstractContextManager[None]:
    """Return a transaction; none where one statement writes the verdict.

    `others`: whether it changes what other runs wait for.
    """
    if verdict.continued is not None:
        return continuing.going_on(run, verdict.continued, done.begin)
    is_one = verdict.entry is None and verdict.status != RunStatus.FAILED
    return nullcontext() if is_one and not others else database.atomic()
