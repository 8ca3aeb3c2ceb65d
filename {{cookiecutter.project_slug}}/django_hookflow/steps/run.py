"""`ctx.step.run`: call a function once and keep what it returns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import Any
from typing import ClassVar
from typing import ParamSpec
from typing import TypeVar

from django_hookflow import clock
from django_hookflow import stopping
from django_hookflow.exceptions import MisusedStep
from django_hookflow.exceptions import Suspension
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.steps.base import Step
from django_hookflow.steps.base import Steps
from django_hookflow.steps.options import Options
from django_hookflow.steps.session import Session
from django_hookflow.values import call_by_value

P = ParamSpec("P")
T = TypeVar("T")

SEPARATE: AbstractContextManager[None] = nullcontext()


class Exited(Exception):
    """Carries an error that is none of Exception out of a transaction."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class RunStep(Step):
    kind: ClassVar[str] = "run"
    takes: ClassVar[frozenset[str]] = frozenset(
        {"retry", "atomic", "optional", "compensate"}
    )

    def __init__(
        self,
        session: Session,
        step_id: str,
        options: Options,
        function: Callable[[], Any],
    ) -> None:
        super().__init__(session, step_id, options)
        self.function = function

    def execute(self, entry: Entry) -> Any:
        if entry.undo and not entry.has_row:
            entry = self.attempted(entry)
        try:
            with self.together():
                done = self.ended(entry)
                self.session.recorder.append(done)
        except Exited as exited:
            return self.retry(entry, exited.error)
        except Exception as error:
            return self.retry(entry, error)
        return self.keep(done)

    def attempted(self, entry: Entry) -> Entry:
        """Record that the step begins, if that has to be undone.

        Its process may die in it, and its run be cancelled then.
        """
        started = self.unfinished(entry)
        if not started.undo:
            return entry
        self.session.recorder.append(started)
        return started._replace(has_row=True)

    def ended(self, entry: Entry) -> Entry:
        """Call the function, and return the entry that has its result."""
        return self.completed(entry, self.result())

    def result(self) -> Any:
        """Call the function and return its result.

        Raises Exited for what only looks as if it ended the process, such as
        the SystemExit of a library.
        """
        try:
            return self.function()
        except (Exception, Suspension):
            raise
        except BaseException as error:
            if stopping.stops(error):
                raise
            raise Exited(error) from error

    def together(self) -> AbstractContextManager[None]:
        """Return the transaction of the function's writes and the entry."""
        return (
            self.session.recorder.atomic() if self.options.atomic else SEPARATE
        )

    def retry(self, entry: Entry, error: BaseException) -> Any:
        """Suspend until the next attempt, or record the failure."""
        policy = self.options.retry or self.session.policy
        delay = policy.delay_before(entry.attempts, error)
        if delay is None:
            return self.record(self.failed(entry, Failure.of(error)), error)
        again = clock.now() + timedelta(seconds=delay)
        return self.wait(entry, again, error)


class RunSteps(Steps):
    def run(
        self,
        step_id: str,
        fn: Callable[P, T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call `fn` and keep its result, which must be data.

        Containers and dataclasses are given as copies, so that a change of
        them is not there in one pass and missing in the next: return it.
        Raises WorkflowError when it failed for good.
        """
        if not callable(fn):
            raise not_a_function(step_id, fn, 'run("id", fn, argument)')
        function: Callable[[], Any] = fn
        if args or kwargs:
            function = partial(call_by_value, fn, args, kwargs)
        step = RunStep(self._session, step_id, self._options, function)
        result: T = step.outcome()
        return result


def not_a_function(step_id: object, given: object, usage: str) -> MisusedStep:
    """Return the error of a step that was given nothing to call."""
    return MisusedStep(
        str(step_id),
        f"was given {given!r:.60}, which is not a function",
        f"Write ctx.step.{usage}, without calling fn.",
    )
