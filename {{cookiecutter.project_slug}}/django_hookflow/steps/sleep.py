"""`ctx.step.sleep` and `sleep_until`: a time in the row, nothing running."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any
from typing import ClassVar

from django_hookflow import clock
from django_hookflow.clock import Duration
from django_hookflow.journal import Entry
from django_hookflow.steps.base import Step
from django_hookflow.steps.base import Steps
from django_hookflow.steps.options import Options
from django_hookflow.steps.session import Session


class SleepStep(Step):
    """Lasts from when it is first reached.

    The time of its end is kept in the entry: a message that comes early,
    late or twice does not move it.
    """

    kind: ClassVar[str] = "sleep"

    def __init__(
        self,
        session: Session,
        step_id: str,
        options: Options,
        duration: Duration,
    ) -> None:
        super().__init__(session, step_id, options)
        self.duration = duration

    def execute(self, entry: Entry) -> Any:
        until = entry.wake_at or self.wake_at()
        if clock.now() >= until:
            return self.record(self.completed(entry))
        return self.wait(entry, until)

    def wake_at(self) -> datetime:
        return after(self.duration, self.step_id)


class SleepUntilStep(SleepStep):
    """Lasts until a time, which must be aware."""

    def __init__(
        self, session: Session, step_id: str, options: Options, when: datetime
    ) -> None:
        super().__init__(session, step_id, options, 0)
        self.when = when

    def wake_at(self) -> datetime:
        if not isinstance(self.when, datetime):
            raise TypeError(
                f"Step {self.step_id!r} sleeps until {self.when!r}, which is "
                "not a datetime. Use django.utils.timezone, or "
                "ctx.step.sleep for a number of seconds."
            )
        if self.when.tzinfo is None:
            raise ValueError(
                f"Step {self.step_id!r} sleeps until {self.when}, which has "
                "no time zone. Use django.utils.timezone."
            )
        return clock.in_zone(self.when, UTC)


class SleepSteps(Steps):
    def sleep(self, step_id: str, seconds: Duration) -> None:
        """Wait: seconds, a timedelta, or text such as "7d"."""
        SleepStep(self._session, step_id, self._options, seconds).outcome()

    def sleep_until(self, step_id: str, when: datetime) -> None:
        """Wait until `when`, which must be aware."""
        SleepUntilStep(self._session, step_id, self._options, when).outcome()


def after(
    duration: Duration, step_id: str, since: datetime | None = None
) -> datetime:
    """Return the end of a duration that begins now, or began at `since`."""
    try:
        return (since or clock.now()) + clock.duration(duration)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"Step {step_id!r} cannot wait for {duration!r}. Write seconds as "
            'a number, or text such as "90s" or "1d12h", that end before the '
            "year 10000."
        ) from error
