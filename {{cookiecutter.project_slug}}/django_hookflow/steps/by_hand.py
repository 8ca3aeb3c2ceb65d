"""Steps that the workflow function begins and ends itself.

    if not ctx.is_step_completed("mail"):
        ctx.record_step_start("mail")
        send_mail()
        ctx.record_step_complete("mail", {"sent": True})

WorkflowContext has the methods that authors call.
"""

from __future__ import annotations

from typing import Any

from django_hookflow import clock
from django_hookflow.exceptions import MisusedStep
from django_hookflow.exceptions import WorkflowError
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.serialization import RESULT
from django_hookflow.serialization import dumps
from django_hookflow.serialization import loads
from django_hookflow.states import StepStatus
from django_hookflow.steps.run import RunStep
from django_hookflow.steps.session import Session
from django_hookflow.steps.session import enclosed


class HandStep:
    """Has a row from its start; a start without an end may start again.

    Tracers do not see it, since it ends in another call than it begins in.
    """

    def __init__(self, session: Session, step_id: str) -> None:
        self.session = session
        self.step_id = step_id

    def recorded(self) -> Entry | None:
        """Return the entry of the step if it is completed."""
        self.session.enter(self.step_id)
        entry = self.session.journal.get(self.step_id)
        if entry is None or not entry.is_recorded or entry.failure:
            return None
        self.session.pass_by(entry)
        return entry

    def result(self) -> Any:
        entry = self.recorded()
        return None if entry is None else loads(entry.result)

    def start(self) -> None:
        session = self.session
        prior = session.ask(self.step_id, RunStep.kind)
        if prior is not None and prior.is_recorded:
            session.replayed(prior)
            raise self._ended(prior)
        # What a deploy has made of a step that waits for its next attempt.
        if prior is not None and prior.wake_at:
            prior = prior._replace(wake_at=None)
        entry = session.begin(self.step_id, RunStep.kind, prior)
        session.append(entry)
        session.start(entry._replace(has_row=True))

    def _ended(self, entry: Entry) -> WorkflowError | MisusedStep:
        if entry.status == StepStatus.FAILED:
            return entry.error()
        return MisusedStep(
            self.step_id,
            "is completed, and was begun again",
            f"Ask ctx.is_step_completed({self.step_id!r}) first.",
        )

    def complete(self, result: Any) -> None:
        entry = self._started()
        text = dumps(result, ("result", RESULT, self.step_id))
        self._end(entry.ended(StepStatus.COMPLETED, clock.now(), text))

    def fail(self, error: object) -> WorkflowError:
        cause = error if isinstance(error, BaseException) else None
        failure = Failure.of(cause or Exception(str(error)))
        entry = self._started().ended(
            StepStatus.FAILED, clock.now(), failure=failure
        )
        self._end(entry)
        raised = entry.error()
        raised.__cause__ = cause
        return raised

    def _started(self) -> Entry:
        """Return the entry of a step that was begun in this pass."""
        session = self.session
        session.enter(self.step_id)
        if session.recorder.is_enclosed:
            raise enclosed(self.step_id)
        entry = session.started.get(self.step_id)
        if entry is None:
            raise self._not_started()
        return entry

    def _not_started(self) -> MisusedStep:
        entry = self.session.journal.get(self.step_id)
        if entry is not None and entry.is_recorded:
            return MisusedStep(
                self.step_id,
                f"is {entry.status} already",
                "What is recorded does not change: end a step once.",
            )
        return MisusedStep(
            self.step_id,
            "was not begun in this pass of the function",
            f"Call ctx.record_step_start({self.step_id!r}) before, each time.",
        )

    def _end(self, entry: Entry) -> None:
        self.session.append(entry)
        self.session.end(entry)
