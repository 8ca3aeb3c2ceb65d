"""The steps that undo other steps, when a run is rolled back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from typing import ClassVar

from django_hookflow import clock
from django_hookflow.exceptions import CompensationFailed
from django_hookflow.exceptions import UndoNotFound
from django_hookflow.journal import CANCELLED
from django_hookflow.journal import RUNS
from django_hookflow.journal import UNDO
from django_hookflow.journal import UNDO_SUFFIX
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.outcomes import Start
from django_hookflow.serialization import loads
from django_hookflow.states import StepStatus
from django_hookflow.steps.compensation import FOR_A_DAY
from django_hookflow.steps.compensation import imported
from django_hookflow.steps.options import Options
from django_hookflow.steps.run import RunStep
from django_hookflow.steps.session import Session

LONGEST_PAUSE = 60  # minutes
ROLLED_BACK = Failure(type=CANCELLED, message="the run was rolled back")


class UndoStep(RunStep):
    """Undoes a step of the journal; recorded with the new status of that.

    How is what the workflow function says, or what can be imported still.
    """

    kind: ClassVar[str] = UNDO

    def __init__(self, session: Session, undone: Entry) -> None:
        said = session.undos.get(undone.step_id)
        options = Options(
            retry=said.retry if said else FOR_A_DAY,
            atomic=said.atomic if said else False,
            optional=True,
        )
        step_id = undone.step_id + UNDO_SUFFIX
        super().__init__(session, step_id, options, self.undo)
        self.undone = undone
        self.how = said.undo if said else imported(undone.undo)

    def undo(self) -> Any:
        # What failed, or never ended, has no result.
        is_complete = self.undone.status == StepStatus.COMPLETED
        result = loads(self.undone.result) if is_complete else None
        assert self.how is not None
        return self.how(result)

    def outcome(self) -> Any:
        """Undo it now, unless that was tried, or is to wait."""
        prior = self.session.journal.get(self.step_id)
        if prior is not None and prior.is_recorded:
            return None
        if prior is not None and self.is_early(prior):
            self.session.wait(prior)
        entry = self.session.begin(self.step_id, self.kind, prior)
        return self.begin(entry)

    def begin(self, entry: Entry) -> Any:
        if self.how is None:
            return self.wait_for_code(entry)
        return self.session.execute(entry, self.execute)

    def wait_for_code(self, entry: Entry) -> Any:
        """Look again after 1, 2, 4, … up to 60 minutes."""
        missing = UndoNotFound(self.undone.step_id, self.undone.undo)
        minutes = min(2 ** min(entry.deliveries - 1, 6), LONGEST_PAUSE)
        again = clock.now() + timedelta(minutes=minutes)
        # Nothing was tried.
        return self.wait(entry._replace(attempts=1), again, missing)


class UndoRunsStep(UndoStep):
    """Undoes a step that has started runs: what they did is undone.

    Nothing that has ended changes: each that completed is rolled back by a
    new run, which goes on for it. A few at a time, what ended last first.
    """

    def begin(self, entry: Entry) -> Any:
        return self.session.execute(entry, self.join)

    def join(self, entry: Entry) -> Any:
        recorder = self.session.recorder
        begun = recorder.children(self.step_id)
        if any(child.is_open for child in begun):
            return self.wait(entry, None)
        if recorder.can_undo_children(self.undone.step_id):
            start = Start(step_id=self.step_id, undoes=True)
            return self.wait(entry, None, starts=(start,))
        for child in begun:
            if child.failure is not None and not child.is_undone:
                return self.record(self.failed(entry, child.failure))
        return self.record(self.completed(entry))


def undo_all(session: Session, look: Callable[[], None]) -> None:
    """Undo what the journal says, and suspend where that has to wait.

    `look`: lets the workflow function say how; it is not asked while it may
    be what kills the worker, if all can be done without.
    """
    for entry in session.journal.with_open_children():
        close(session, entry)
    entries = session.journal.to_undo()
    ours = [entry.undo for entry in entries if entry.undo != RUNS]
    if ours and (session.crashes == 0 or None in map(imported, ours)):
        look()
    for entry in entries:
        undo(session, entry)


def undo_reached(session: Session) -> list[str]:
    """Undo the steps that the function has come to, as a part of the run.

    Returns their ids, in order. Raises CompensationFailed when all was tried
    and some could not be undone.
    """
    journal = session.journal
    for entry in filter(session.has_reached, journal.to_undo()):
        undo(session, entry)
    undos = [
        entry
        for entry in journal.of_kind(UNDO)
        if session.has_reached(journal[entry.undoes])
    ]
    for entry in undos:
        session.pass_by(entry)
    failed = {e.undoes: str(e.error()) for e in undos if e.failure is not None}
    undone = [e.undoes for e in undos if e.failure is None]
    if failed:
        raise CompensationFailed(CompensationFailed.ASKED, undone, failed)
    return undone


def undo(session: Session, entry: Entry) -> None:
    step = UndoRunsStep if entry.undo == RUNS else UndoStep
    step(session, entry).outcome()


def close(session: Session, entry: Entry) -> None:
    """Record that a step waits for its runs no more, if it can be undone.

    Those that were open were cancelled, and undo what they did themselves.
    """
    if session.recorder.can_undo_children(entry.step_id):
        ended = entry.ended(
            StepStatus.FAILED, clock.now(), failure=ROLLED_BACK
        )
        ended = ended._replace(undo=RUNS, event_name="", event_match="")
        session.append(ended)
        session.journal.add(ended)
