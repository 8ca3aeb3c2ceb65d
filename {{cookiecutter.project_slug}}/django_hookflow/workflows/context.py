"""`ctx`, the argument of a workflow function, and its steps."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from random import Random
from typing import Any
from typing import NoReturn
from typing import Protocol
from uuid import UUID
from uuid import uuid4

from django.db.models import Model

from django_hookflow.attributes import changed
from django_hookflow.clock import Duration
from django_hookflow.exceptions import WorkflowError
from django_hookflow.outcomes import Continued
from django_hookflow.serialization import loads
from django_hookflow.steps.ask import AskSteps
from django_hookflow.steps.by_hand import HandStep
from django_hookflow.steps.call import CallSteps
from django_hookflow.steps.continuing import go_on
from django_hookflow.steps.fan_out import FanOutSteps
from django_hookflow.steps.first import FirstSteps
from django_hookflow.steps.fluent import FluentSteps
from django_hookflow.steps.invoke import Invocable
from django_hookflow.steps.invoke import InvokeSteps
from django_hookflow.steps.patch import is_patched
from django_hookflow.steps.session import Session
from django_hookflow.steps.sleep import SleepSteps
from django_hookflow.steps.undo import undo_reached
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
    FanOutSteps,
    UntilSteps,
):
    """`ctx.step`: the durable operations. Each id names one step of a run."""


class Triggerable(Invocable, Protocol):
    """A workflow, by as much as the context looks at."""

    def trigger(
        self,
        data: Any = None,
        run_id: str | None = None,
        *,
        delay: Duration = 0,
        owner: object = None,
        about: Model | None = None,
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class WorkflowContext:
    """One run as its workflow function sees it."""

    run_id: str
    workflow_id: str
    version: int  # of the workflow, with which the run began
    owner: str  # the key of a user, as text; empty is none
    data: Any  # a dict, or what `input=` declares
    started_at: datetime  # when the first delivery came, or was due
    step: StepManager
    _session: Session
    # Finds a workflow by its id, and its version; by default the latest.
    _find: Callable[..., Triggerable]

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

    def run_compensation(self) -> list[str]:
        """Undo the steps so far that have a compensation; return their ids.

        What ended last is undone first, each in a step of its own, which is
        tried again as in a rollback; the run waits for it. Then the function
        goes on. Raises CompensationFailed when some could not be undone.
        """
        self._session.enter("run_compensation")
        return undo_reached(self._session)

    def start_workflow(
        self,
        workflow: str | Triggerable,
        data: Any = None,
        *,
        step_id: str | None = None,
        delay: Duration = 0,
        about: Model | None = None,
    ) -> str:
        """Start a run that nothing waits for, once, and return its id.

        It is a step, whose record commits with the new run, which has the
        owner of this one. `workflow`: a function declared by @workflow, or
        the id of one, whose latest version starts. `step_id`: where it starts
        more than one of them; by default "start <workflow_id>".
        """
        name = workflow
        if not isinstance(workflow, str):
            name = workflow.workflow_id

        def start() -> str:
            found = workflow
            if isinstance(found, str):
                found = self._find(found)
            return found.trigger(
                data, delay=delay, owner=self.owner, about=about
            )

        step = self.step.options(atomic=True)
        return step.run(step_id or f"start {name}", start)

    def continue_as_new(self, data: Any = None) -> NoReturn:
        """End this run, and go on as a new one with an empty journal.

        For a function that would go on for ever: each run has a journal that
        stays short. `data`: what the new run gets as ctx.data. Raises
        MisusedStep while there are steps to undo, which it could not.
        """
        workflow = self._find(self.workflow_id, self.version)
        what = f"The data of the run that continues {self.run_id!r}"
        text = workflow.accepted(data, what)
        go_on(self._session, Continued(uuid4().hex, workflow.timeout, text))

    def patched(self, change_id: str) -> bool:
        """Return True if this run is to take the code of a change.

        False in a run that had come further when the change was deployed; the
        answer stays the same for the run. `change_id`: a name of the change,
        other than any before.
        """
        return is_patched(self._session, change_id)

    def deprecate_patch(self, change_id: str) -> None:
        """Say that the code from before a change is gone.

        Logs a warning in a run that would need it.
        """
        if not is_patched(self._session, change_id):
            logging.getLogger(f"workflows.{self.workflow_id}").warning(
                "Run %r is older than the change %r, and the code from "
                "before is gone. Put it back behind `if not ctx.patched(%r)` "
                "until WorkflowRun.objects.unpatched(%r, %r) is empty.",
                self.run_id,
                change_id,
                change_id,
                self.workflow_id,
                change_id,
            )

    def set(self, **attributes: Any) -> None:
        """Set attributes of the run, by which it can be found; None removes.

        They are written at the end of the delivery, without a statement of
        their own. At most 4 kB of JSON for all of them; SerializationError
        for more, and for what is no plain data.
        """
        session = self._session
        session.enter("ctx.set")
        if session.way:
            return  # the parent of this branch has set them
        session.attributes = changed(
            session.attributes,
            attributes,
            f"The attributes of run {self.run_id!r}",
        )

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the run as they are now; to read."""
        decoded: dict[str, Any] = loads(json.dumps(self._session.attributes))
        return decoded

    @property
    def log(self) -> WorkflowLogger:
        """A logger that is silent while recorded steps are replayed."""
        return WorkflowLogger(self.workflow_id, self._session)

    def idempotency_key(self, step_id: str) -> str:
        """Return a key that is the same for each attempt of a step."""
        return self._session.idempotency_key(step_id)
