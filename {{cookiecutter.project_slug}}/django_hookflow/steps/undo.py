"""The steps that undo other steps, when a run is rolled back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from typing import ClassVar

from django_hookflow import clock
from django_hookflow.exceptions import UndoNotFound
from django_hookflow.journal import UNDO
from django_hookflow.journal import UNDO_SUFFIX
from django_hookflow.journal import Entry
from django_hookflow.serialization import loads
from django_hookflow.states import StepStatus
from django_hookflow.steps.compensation import FOR_A_DAY
from django_hookflow.steps.compensation import imported
from django_hookflow.steps.options import Options
from django_hookflow.steps.run import RunStep
from django_hookflow.steps.session import Session

LONGEST_PAUSE = 60  # minutes


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


def undo_all(session: Session, look: Callable[[], None]) -> None:
    """Undo what the journal says, and suspend where that has to wait.

    `look`: lets the workflow function say how; it is not asked while it may
    be what kills the worker, if all can be done without.
    """
    entries = session.journal.to_undo()
    if session.crashes == 0 or any(imported(e.undo) is None for e in entries):
        look()
    for entry in entries:
        UndoStep(session, entry).outcome()
