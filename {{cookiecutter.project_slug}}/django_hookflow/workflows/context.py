"""`ctx`, the argument of a workflow function, and its steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

from django_hookflow.exceptions import WorkflowError
from django_hookflow.steps.ask import AskSteps
from django_hookflow.steps.by_hand import HandStep
from django_hookflow.steps.call import CallSteps
from django_hookflow.steps.first import FirstSteps
from django_hookflow.steps.fluent import FluentSteps
from django_hookflow.steps.invoke import InvokeSteps
from django_hookflow.steps.session import Session
from django_hookflow.steps.sleep import SleepSteps
from django_hookflow.steps.until import UntilSteps
from django_hookflow.steps.wait_for_event import WaitForEventSteps
from django_hookflow.workflows.log import WorkflowLogger


class StepManager(
    FluentSteps,
    SleepSteps,
    CallSteps,
    WaitForEventSteps,
    FirstSteps,
    AskSteps,
    InvokeSteps,
    UntilSteps,
):
    """`ctx.step`: the durable operations. Each id names one step of a run."""


@dataclass(frozen=True, slots=True)
class WorkflowContext:
    """One run as its workflow function sees it."""

    run_id: str
    workflow_id: str
    version: int  # of the workflow, with which the run began
    owner: str  # the key of a user, as text; empty is none
    data: dict[str, Any]
    started_at: datetime  # when the first delivery came, or was due
    step: StepManager
    _session: Session

    @property
    def workflow_name(self) -> str:
        return self.workflow_id

    def now(self) -> datetime:
        """Return the time of the last step; the same at every replay."""
        return self._session.now

    workflow_time = now

    def elapsed(self) -> timedelta:
        """Since the start of the run, by `now()`."""
        return self.now() - self.started_at

    def random(self) -> Random:
        """Return a source of random numbers, the same at every replay.

        Its seed is made of the run, the step before the call, and how many
        came since that step.
        """
        return Random(self._session.seed())  # noqa: S311  # not for secrets

    def uuid4(self) -> UUID:
        """Return a random UUID, the same at every replay."""
        return UUID(int=self.random().getrandbits(128), version=4)

    def is_step_completed(self, step_id: str) -> bool:
        """Return True if the journal has a result of this step."""
        return HandStep(self._session, step_id).recorded() is not None

    def get_step_result(self, step_id: str) -> Any:
        """Return the recorded result of a step; None if there is none."""
        return HandStep(self._session, step_id).result()

    def record_step_start(self, step_id: str) -> None:
        """Begin a step that the function ends itself.

        Again after a crash or an error between its start and its end. Raises
        the WorkflowError of a step that is recorded as failed, and
        MisusedStep for one that is completed.
        """
        HandStep(self._session, step_id).start()

    def record_step_complete(self, step_id: str, result: Any = None) -> None:
        """End a step that was begun, with its result for ever."""
        HandStep(self._session, step_id).complete(result)

    def record_step_failure(
        self, step_id: str, error: BaseException | str
    ) -> WorkflowError:
        """End a step that was begun, as failed for ever.

        Returns the error to raise, which each later start of it raises.
        """
        return HandStep(self._session, step_id).fail(error)

    @property
    def log(self) -> WorkflowLogger:
        """A logger that is silent while recorded steps are replayed."""
        return WorkflowLogger(self.workflow_id, self._session)

    def idempotency_key(self, step_id: str) -> str:
        """Return a key that is the same for each attempt of a step."""
        return self._session.idempotency_key(step_id)
