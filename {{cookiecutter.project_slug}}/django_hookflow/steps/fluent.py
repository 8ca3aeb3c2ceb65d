"""`ctx.step("id", fn).timeout(30).run()`: the options, one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any
from typing import Generic
from typing import NoReturn
from typing import ParamSpec
from typing import TypeVar
from typing import Unpack

from django_hookflow.clock import Duration
from django_hookflow.retry import RetryPolicy
from django_hookflow.steps.compensation import Compensation
from django_hookflow.steps.options import Given
from django_hookflow.steps.run import RunSteps
from django_hookflow.steps.session import Session
from django_hookflow.steps.session import never_run

P = ParamSpec("P")
T = TypeVar("T")


class StepRunner(Generic[T]):
    """A step with its options; it does nothing before `.run()`."""

    def __init__(
        self,
        session: Session,
        step_id: str,
        steps: RunSteps,
        run: Callable[[RunSteps], T],
    ) -> None:
        self._session = session
        self._step_id = step_id
        self._steps = steps
        self._run = run

    def retry(self, policy: RetryPolicy) -> StepRunner[T]:
        return self._with(retry=policy)

    def timeout(self, duration: Duration) -> StepRunner[T]:
        return self._with(timeout=duration)

    def atomic(self) -> StepRunner[T]:
        return self._with(atomic=True)

    def optional(self) -> StepRunner[T]:
        return self._with(optional=True)

    def at_most_once(self) -> StepRunner[T]:
        return self._with(at_most_once=True)

    def compensate(
        self,
        undo: Callable[[Any], Any] | Compensation,
        when: str = "completed",
    ) -> StepRunner[T]:
        """Undo it by `undo(result)` when the run fails later."""
        if not isinstance(undo, Compensation):
            undo = Compensation(undo, when=when)
        return self._with(compensate=undo)

    def run(self) -> T:
        """Run the step and return its result, as ctx.step.run does."""
        self._session.unrun = None
        return self._run(self._steps)

    def _with(self, **given: Unpack[Given]) -> StepRunner[T]:
        steps = self._steps.options(**given)
        return StepRunner(self._session, self._step_id, steps, self._run)

    def _refuse(self, *_: object) -> NoReturn:
        raise never_run(self._step_id)

    # It is no result. Type checkers find that out by themselves.
    if not TYPE_CHECKING:  # pragma: no branch
        __bool__ = __iter__ = __len__ = __getitem__ = __call__ = _refuse

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"{never_run(self._step_id)} (asked: {name})")


class FluentSteps(RunSteps):
    def __call__(
        self,
        step_id: str,
        fn: Callable[P, T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> StepRunner[T]:
        """Return a step to give options to, and then to `.run()`.

        One that is not run when the next step is asked for, or when the
        function returns, is an error.
        """

        def run(steps: RunSteps) -> T:
            return steps.run(step_id, fn, *args, **kwargs)

        self._session.build(step_id)
        return StepRunner(self._session, step_id, self, run)
