"""`ctx.step.run`: call a function once and keep what it returns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextlib import nullcontext
from datetime import timedelta
from typing import Any
from typing import ClassVar

from django_hookflow import clock
from django_hookflow import stopping
from django_hookflow.exceptions import Suspension
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.steps.base import Options
from django_hookflow.steps.base import Step
from django_hookflow.steps.session import Session

APART: AbstractContextManager[None] = nullcontext()


class Exited(Exception):
    """Carries an error that is none of Exception out of a transaction."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class RunStep(Step):
    kind: ClassVar[str] = "run"
    takes: ClassVar[frozenset[str]] = frozenset(
        {"retry", "atomic", "optional"}
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
        try:
            with self.together():
                done = self.completed(entry, self.result())
                self.session.recorder.append(done)
        except Exited as exited:
            return self.retry(entry, exited.error)
        except Exception as error:
            return self.retry(entry, error)
        return self.keep(done)

    def result(self) -> Any:
        """What the function returns.

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
        """What the function's own writes and the entry commit in."""
        return self.session.recorder.atomic() if self.options.atomic else APART

    def retry(self, entry: Entry, error: BaseException) -> Any:
        """Suspend until the next attempt, or record the failure."""
        policy = self.options.retry or self.session.policy
        delay = policy.delay_before(entry.attempts, error)
        if delay is None:
            return self.record(self.failed(entry, Failure.of(error)), error)
        again = clock.now() + timedelta(seconds=delay)
        return self.wait(entry, again, error)
