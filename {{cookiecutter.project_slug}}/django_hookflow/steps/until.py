"""`ctx.step.until`: call a function again and again until it is satisfied."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from datetime import timedelta
from typing import Any
from typing import ClassVar

from django_hookflow import clock
from django_hookflow.clock import Duration
from django_hookflow.exceptions import MisusedStep
from django_hookflow.exceptions import StepTimeout
from django_hookflow.journal import Entry
from django_hookflow.steps.base import Steps
from django_hookflow.steps.options import Options
from django_hookflow.steps.run import RunStep
from django_hookflow.steps.run import not_a_function
from django_hookflow.steps.session import Session
from django_hookflow.steps.sleep import after

SHORTEST = timedelta(seconds=1)  # each poll is a delivery, and a message


class UntilStep(RunStep):
    """Has one row, whatever the number of polls."""

    kind: ClassVar[str] = "until"
    takes: ClassVar[frozenset[str]] = frozenset(
        {"retry", "optional", "compensate"}
    )

    def __init__(
        self,
        session: Session,
        step_id: str,
        options: Options,
        function: Callable[[], Any],
        every: Duration,
        timeout: Duration | None,
    ) -> None:
        super().__init__(session, step_id, options, function)
        self.every = every
        self.within = timeout

    def execute(self, entry: Entry) -> Any:
        # First, so that a bad duration calls nothing.
        self.again, self.deadline = self.next_poll(), self.end(entry)
        return super().execute(entry)

    def ended(self, entry: Entry) -> Entry:
        """Call the function; suspend if it may yet be satisfied."""
        if value := self.result():
            return self.completed(entry, value)
        again = self.again
        if self.deadline is not None:
            if clock.now() >= self.deadline:
                return self.late(entry, StepTimeout, "not satisfied")
            again = min(again, self.deadline)
        # It was answered, so the attempts of its failures start over.
        return self.wait(entry._replace(attempts=1), again)

    def next_poll(self) -> datetime:
        again = after(self.every, self.step_id)
        if again < clock.now() + SHORTEST:
            raise MisusedStep(
                self.step_id,
                f"polls every {self.every!r}",
                "Each poll is a message: use 1 second or more.",
            )
        return again

    def end(self, entry: Entry) -> datetime | None:
        if self.within is None:
            return None
        return after(self.within, self.step_id, entry.started_at)


class UntilSteps(Steps):
    def until(
        self,
        step_id: str,
        fn: Callable[[], Any],
        *,
        every: Duration = 60,
        timeout: Duration | None = None,
    ) -> Any:
        """Call `fn` until it returns a true value, and return that.

        `every`: the time between two calls, seconds or text such as "30s".
        `timeout`: from the first call; then it raises StepTimeout. Without
        it, it polls for ever. A call that raises is tried again by the
        retry policy, whose attempts start over with each call that returns.
        """
        if not callable(fn):
            raise not_a_function(step_id, fn, 'until("id", fn)')
        return UntilStep(
            self._session, step_id, self._options, fn, every, timeout
        ).outcome()
