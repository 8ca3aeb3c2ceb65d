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
from django_hookflow.journal import Failure
from django_hookflow.steps.base import Steps
from django_hookflow.steps.options import Options
from django_hookflow.steps.run import Exited
from django_hookflow.steps.run import RunStep
from django_hookflow.steps.session import Session
from django_hookflow.steps.sleep import after

SHORTEST = timedelta(seconds=1)  # each poll is a delivery, and a message


class UntilStep(RunStep):
    """Has one row, whatever the number of polls."""

    kind: ClassVar[str] = "until"
    takes: ClassVar[frozenset[str]] = frozenset({"retry", "optional"})

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
        self.timeout = timeout

    def execute(self, entry: Entry) -> Any:
        again, deadline = self.next_poll(), self.deadline(entry)
        try:
            value = self.result()
            done = self.completed(entry, value) if value else None
        except Exited as exited:
            return self.retry(entry, exited.error)
        except Exception as error:
            return self.retry(entry, error)
        if done is not None:
            return self.record(done)
        if deadline is None:
            return self.poll_again(entry, again)
        if clock.now() >= deadline:
            return self.record(self.failed(entry, self.too_late(entry)))
        return self.poll_again(entry, min(again, deadline))

    def poll_again(self, entry: Entry, at: datetime) -> Any:
        # It was answered, so the attempts of its failures start over.
        return self.wait(entry._replace(attempts=1), at)

    def next_poll(self) -> datetime:
        again = after(self.every, self.step_id)
        if again < clock.now() + SHORTEST:
            raise MisusedStep(
                self.step_id,
                f"polls every {self.every!r}",
                "Each poll is a message: use 1 second or more.",
            )
        return again

    def deadline(self, entry: Entry) -> datetime | None:
        if self.timeout is None:
            return None
        now = clock.now()
        return after(self.timeout, self.step_id) - (
            now - (entry.started_at or now)
        )

    def too_late(self, entry: Entry) -> Failure:
        since = entry.started_at or clock.now()
        return Failure(
            type=StepTimeout.__name__,
            message=f"not satisfied since {since:%Y-%m-%d %H:%M:%S}",
        )


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
            raise MisusedStep(
                str(step_id),
                f"was given {fn!r:.60}, which is not a function",
                'Write ctx.step.until("id", fn), without calling fn.',
            )
        return UntilStep(
            self._session, step_id, self._options, fn, every, timeout
        ).outcome()
