"""`ctx.step.wait_for_event`: wait until send_event is called."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from typing import ClassVar

from django_hookflow import clock
from django_hookflow.clock import Duration
from django_hookflow.exceptions import EventTimeout
from django_hookflow.journal import Entry
from django_hookflow.steps.base import Step
from django_hookflow.steps.base import Steps
from django_hookflow.steps.base import refuse_address
from django_hookflow.steps.options import Options
from django_hookflow.steps.session import Session
from django_hookflow.steps.sleep import after


class WaitForEventStep(Step):
    """Looks back first: an event that came before the wait is not lost."""

    kind: ClassVar[str] = "wait_for_event"
    takes: ClassVar[frozenset[str]] = frozenset({"optional"})

    def __init__(
        self,
        session: Session,
        step_id: str,
        options: Options,
        name: str,
        timeout: Duration | None,
        match: str,
    ) -> None:
        super().__init__(session, step_id, options)
        self.name = name
        self.timeout = timeout
        self.match = match

    def execute(self, entry: Entry) -> Any:
        refuse_address(self.step_id, self.name, self.match)
        entry = entry._replace(event_name=self.name, event_match=self.match)
        received = self.session.recorder.consume_event(entry)
        if received is not None:
            return self.keep(received)
        deadline = entry.wake_at or self.deadline()
        if deadline is not None and clock.now() >= deadline:
            what = f"no event {self.name!r}"
            return self.record(self.late(entry, EventTimeout, what))
        return self.wait(entry, deadline)

    def is_early(self, prior: Entry) -> bool:
        # Its event may be there before its time is up.
        return False

    def deadline(self) -> datetime | None:
        if self.timeout is None:
            return None
        return after(self.timeout, self.step_id)


class WaitForEventSteps(Steps):
    def wait_for_event(
        self,
        step_id: str,
        name: str,
        timeout: Duration | None = None,
        match: object = None,
    ) -> Any:
        """Return the data of the event `name`, sent to this run or to `match`.

        An event is consumed by one wait, whether it came before or after.
        Raises EventTimeout when none came within `timeout`.
        """
        key = "" if match is None else str(match)
        return WaitForEventStep(
            self._session, step_id, self._options, name, timeout, key
        ).outcome()
