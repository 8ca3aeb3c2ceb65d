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

from django_hookflow import calls
from django_hookflow import clock
from django_hookflow import stopping
from django_hookflow.exceptions import MisusedStep
from django_hookflow.exceptions import StepInterrupted
from django_hookflow.exceptions import StepTimeout
from django_hookflow.exceptions import Suspension
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.steps.base import Step
from django_hookflow.steps.base import Steps
from django_hookflow.steps.options import DECLARED
from django_hookflow.steps.options import Options
from django_hookflow.steps.session import Session
from django_hookflow.values import call_by_value

P = ParamSpec("P")
T = TypeVar("T")

SEPARATE: AbstractContextManager[None] = nullcontext()
SECOND = timedelta(seconds=1)


class Exited(Exception):
    """Carries an error that is none of Exception out of a transaction."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class RunStep(Step):
    kind: ClassVar[str] = "run"
    takes: ClassVar[frozenset[str]] = frozenset(
        {
            "retry",
            "timeout",
            "atomic",
            "optional",
            "at_most_once",
            "compensate",
        }
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
        if options.timeout is not None:
            self.function = partial(self.in_time, function)

    def execute(self, entry: Entry) -> Any:
        once = self.options.at_most_once
        if once and entry.has_row:
            return self.record(self.interrupted(entry))
        if once or (entry.undo and not entry.has_row):
            entry = self.start(entry)
        try:
            with self.together():
                done = self.ended(entry)
                self.session.recorder.append(done)
        except Exited as exited:
            return self.retry(entry, exited.error)
        except Exception as error:
            return self.retry(entry, error)
        return self.keep(done)

    def start(self, entry: Entry) -> Entry:
        """Write that the function begins now, if that is to be known.

        It must not begin again, or its run may be cancelled before it ends.
        """
        if self.options.at_most_once:
            entry = entry._replace(attempts=1)
        begun = self.unfinished(entry)
        if not (begun.undo or self.options.at_most_once):
            return entry
        self.session.recorder.append(begun)
        return entry._replace(has_row=True)

    def interrupted(self, entry: Entry) -> Entry:
        message = (
            f"it began at {entry.started_at:%Y-%m-%d %H:%M:%S} and did not "
            "end; whether it had its effect is unknown"
        )
        name = StepInterrupted.__name__
        return self.failed(
            entry._replace(attempts=1), Failure(type=name, message=message)
        )

    def in_time(self, function: Callable[[], Any]) -> Any:
        """Call the function; StepTimeout if it took longer than it may.

        Meanwhile the heartbeat keeps the lease until the timeout only.
        """
        work, limit = self.session.work, self.options.limit
        begun = clock.now()
        work.limit = begun + limit
        try:
            result = function()
        finally:
            work.limit = None
        took = clock.now() - begun
        if took > limit:
            raise self.overdue(
                f"took {took / SECOND:g} s, and its timeout is "
                f"{limit / SECOND:g} s"
            )
        return result

    def overdue(self, what: str) -> StepTimeout:
        entry = self.session.work.step
        attempts = entry.attempts if entry else 1
        name = StepTimeout.__name__
        return StepTimeout(self.step_id, name, what, attempts)

    def ended(self, entry: Entry) -> Entry:
        """Call the function, and return the entry that has its result."""
        return self.completed(entry, self.result())

    def result(self) -> Any:
        """Call the function and return its result.

        Raises Exited for what only looks as if it ended the process, such as
        the SystemExit of a library.
        """
        function, around = self.function, calls.around
        try:
            return function() if around is None else around(function)
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
        delay = None
        if not self.options.at_most_once:
            policy = self.options.retry or self.session.policy
            delay = policy.delay_before(entry.attempts, error)
        if delay is None:
            failure = Failure.of_step(error)
            return self.record(self.failed(entry, failure), error)
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
        options = self._options
        declared = getattr(fn, DECLARED, None)
        if isinstance(declared, Options):
            options = options.over(declared)
        step = RunStep(self._session, step_id, options, function)
        result: T = step.outcome()
        return result


def not_a_function(step_id: object, given: object, usage: str) -> MisusedStep:
    """Return the error of a step that was given nothing to call."""
    return MisusedStep(
        str(step_id),
        f"was given {given!r:.60}, which is not a function",
        f"Write ctx.step.{usage}, without calling fn.",
    )
