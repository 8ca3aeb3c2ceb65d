"""`ctx.step.invoke`: run another workflow and wait for its result."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from typing import ClassVar
from typing import Protocol

from django_hookflow import clock
from django_hookflow.exceptions import MisusedStep
from django_hookflow.journal import INVOKE
from django_hookflow.journal import RUNS
from django_hookflow.journal import Child
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.outcomes import Start
from django_hookflow.states import StepStatus
from django_hookflow.steps.base import Step
from django_hookflow.steps.base import Steps
from django_hookflow.steps.options import Options
from django_hookflow.steps.session import Session

DEEPEST = 64  # runs above one another
DELETED = Failure(
    type="RunNotFound", message="the run that it waited for was deleted"
)


class Invocable(Protocol):
    """A workflow, by as much as a step looks at."""

    @property
    def workflow_id(self) -> str: ...

    version: int
    timeout: timedelta | None
    input: Any  # the type of its data; None is a dict

    def accepted(self, data: Any, what: str) -> str: ...


class InvokeStep(Step):
    """Waits for a run of its own, which begins in the same commit."""

    kind: ClassVar[str] = INVOKE
    takes: ClassVar[frozenset[str]] = frozenset({"optional"})

    def __init__(
        self,
        session: Session,
        step_id: str,
        options: Options,
        workflow: Invocable,
        data: Any,
    ) -> None:
        super().__init__(session, step_id, options)
        self.workflow = workflow
        self.data = data

    def execute(self, entry: Entry) -> Any:
        children = self.session.recorder.children(self.step_id)
        if not children and not entry.has_row:
            return self.wait(entry, None, starts=(self.start(),))
        if not children:
            return self.record(self.failed(entry, DELETED))
        (child,) = children
        if child.is_open:
            return self.wait(entry, None)
        if child.failure is not None:
            return self.record(self.failed(entry, child.failure))
        done = entry.ended(StepStatus.COMPLETED, clock.now(), child.result)
        return self.record(undone_with(done, children))

    def start(self) -> Start:
        workflow_id = getattr(self.workflow, "workflow_id", None)
        if not isinstance(workflow_id, str):
            raise MisusedStep(
                self.step_id,
                f"was given {self.workflow!r:.60}, which is not a workflow",
                'Write ctx.step.invoke("id", other_workflow, {…}), with a '
                "function declared by @workflow.",
            )
        is_any = self.data is None or isinstance(self.data, dict)
        if self.workflow.input is None and not is_any:
            raise MisusedStep(
                self.step_id,
                f"was given data of type {type(self.data).__name__}",
                'The data of a run is a dict: {"order_id": order.pk}.',
            )
        refuse_depth(self.session, self.step_id)
        self.refuse_long_name("where it starts a run")
        what = f"The data of step {self.step_id!r}"
        return Start(
            step_id=self.step_id,
            workflow_id=workflow_id,
            version=self.workflow.version,
            timeout=self.workflow.timeout,
            data=self.workflow.accepted(self.data, what),
        )

    def answer(self, entry: Entry, cause: BaseException | None = None) -> Any:
        value = super().answer(entry, cause)
        declared = getattr(self.workflow, "output", None)
        if declared is None or entry.failure is not None:
            return value
        return declared.read(value, f"The result of step {self.step_id!r}")


def undone_with(entry: Entry, children: Iterable[Child]) -> Entry:
    """Return the entry of a step that is undone by rolling its runs back.

    If one of them has something to undo.
    """
    has_undo = any(child.has_undo for child in children)
    return entry._replace(undo=RUNS) if has_undo else entry


def refuse_depth(session: Session, step_id: str) -> None:
    if session.depth >= DEEPEST:
        raise MisusedStep(
            step_id,
            f"would start a run below {DEEPEST} others",
            "A workflow that starts itself must end: look for what should "
            "stop it.",
        )


class InvokeSteps(Steps):
    def invoke(
        self,
        step_id: str,
        workflow: Invocable,
        data: Any = None,
    ) -> Any:
        """Run another workflow as a part of this run; return its result.

        `data`: what that run gets as ctx.data; the result is of the type that
        it declares by `output=`. Raises WorkflowError, with the error's own
        type as `error_type`, when it failed. It has no dead
        letter of its own: when the letter of this run is retried, it goes on
        behind its completed steps. A run that ends has its open ones
        cancelled between two of their steps; one that is rolled back has
        what the completed ones did undone, by runs of their own.
        """
        return InvokeStep(
            self._session, step_id, self._options, workflow, data
        ).outcome()
