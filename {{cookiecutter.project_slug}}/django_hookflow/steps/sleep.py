"""`ctx.step.sleep` and `sleep_until`: a time in the row, nothing running."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from typing import ClassVar

from django_hookflow import clock
from django_hookflow.clock import Duration
from django_hookflow.journal import Entry
from django_hookflow.steps.base import Options
from django_hookflow.steps.base import Step
from django_hookflow.steps.session import Session


class SleepStep(Step):
    """`until` is a duration from when the step is first reached, or a time.

    The time is kept in the entry: a message that comes early, late or twice
    does not move it.
    """

    kind: ClassVar[str] = "sleep"

    def __init__(
        self,
        session: Session,
        step_id: str,
        options: Options,
        until: Duration | datetime,
    ) -> None:
        super().__init__(session, step_id, options)
        self.until = until

    def execute(self, entry: Entry) -> Any:
        until = entry.wake_at or self.wake_at()
        if clock.now() >= until:
            return self.record(self.completed(entry))
        return self.wait(entry, until)

    def wake_at(self) -> datetime:
        if not isinstance(self.until, datetime):
            return clock.now() + clock.duration(self.until)
        if self.until.tzinfo is None:
            raise ValueError(
                f"Step {self.step_id!r} sleeps until {self.until}, which has "
                "no time zone. Use django.utils.timezone."
            )
        return self.until
