"""What every kind of step does: look back, else act and record."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from dataclasses import dataclass
from dataclasses import fields
from datetime import datetime
from typing import Any
from typing import ClassVar
from typing import NoReturn

from django_hookflow import clock
from django_hookflow.exceptions import MisusedStep
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.retry import RetryPolicy
from django_hookflow.serialization import RESULT
from django_hookflow.serialization import dumps
from django_hookflow.serialization import loads
from django_hookflow.states import StepStatus
from django_hookflow.steps.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `ctx.step.options()` sets for the step that follows."""

    retry: RetryPolicy | None = None  # None is the workflow's own
    atomic: bool = False  # commit the step's rows with its entry
    optional: bool = False  # a failure is recorded and returns None


DEFAULTS = Options()

KNOWN_BY = {
    "retry": "run and call",
    "atomic": "run",
    "optional": "run, call and wait_for_event",
}


class Step(ABC):
    """One durable operation of one pass."""

    kind: ClassVar[str]
    takes: ClassVar[frozenset[str]] = frozenset()  # the options it knows

    def __init__(
        self, session: Session, step_id: str, options: Options
    ) -> None:
        if options is not DEFAULTS:
            self._refuse_others(step_id, options)
        self.session = session
        self.step_id = step_id
        self.options = options

    @classmethod
    def _refuse_others(cls, step_id: str, options: Options) -> None:
        for option in fields(options):
            name = option.name
            if name in cls.takes or getattr(options, name) == option.default:
                continue
            raise MisusedStep(
                step_id,
                f"is a {cls.kind} step, which knows no option {name!r}",
                f"Leave it out, or use it with {KNOWN_BY[name]}.",
            )

    def outcome(self) -> Any:
        """The recorded result, or that of executing the step now.

        Raises WorkflowError if the step failed, then and at every replay,
        and a Suspension if the run has to wait for it.
        """
        prior = self.session.ask(self.step_id, self.kind)
        if prior is not None and prior.is_recorded:
            self.session.replayed(prior)
            return self.answer(prior)
        if prior is not None and self.is_early(prior):
            self.session.wait(prior)
        entry = self.session.begin(self.step_id, self.kind, prior)
        return self.session.execute(entry, self.execute)

    @abstractmethod
    def execute(self, entry: Entry) -> Any:
        """Act, then return `answer()` of what was recorded, or suspend."""

    def is_early(self, prior: Entry) -> bool:
        """Whether a waiting step is not due: its message came too soon."""
        return prior.wake_at is not None and clock.now() < prior.wake_at

    def answer(self, entry: Entry, cause: BaseException | None = None) -> Any:
        """What the workflow function gets for a recorded entry."""
        if entry.status == StepStatus.COMPLETED:
            return loads(entry.result)
        if self.options.optional:
            return None
        raise entry.error() from cause

    def completed(self, entry: Entry, value: Any = None) -> Entry:
        """`entry` with a result; SerializationError if it does not fit."""
        result = dumps(value, ("result", RESULT, self.step_id))
        return entry.ended(StepStatus.COMPLETED, clock.now(), result)

    def failed(self, entry: Entry, failure: Failure) -> Entry:
        return entry.ended(StepStatus.FAILED, clock.now(), failure=failure)

    def record(self, entry: Entry, cause: BaseException | None = None) -> Any:
        """Keep `entry` for ever and answer with it."""
        self.session.recorder.append(entry)
        return self.keep(entry, cause)

    def keep(self, entry: Entry, cause: BaseException | None = None) -> Any:
        """Answer with an entry that is committed."""
        self.session.recorded(entry)
        return self.answer(entry, cause)

    def wait(
        self,
        entry: Entry,
        until: datetime | None,
        error: BaseException | None = None,
    ) -> NoReturn:
        """Suspend the run until a time, an event or the next attempt.

        `error`: what the last attempt failed of.
        """
        entry = entry._replace(
            status=StepStatus.WAITING,
            wake_at=until,
            failure=Failure.of(error) if error else None,
        )
        self.session.wait(entry, error)
