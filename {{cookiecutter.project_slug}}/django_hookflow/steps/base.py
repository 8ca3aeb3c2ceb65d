"""The base of every kind of step, and of the methods that authors call.

A kind is a file beside this one. It has a Step, which says how it is done and
which options it takes, and Steps with the typed method that authors call.
StepManager in workflows/context.py names it among its bases.
"""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from dataclasses import fields
from datetime import datetime
from typing import Any
from typing import ClassVar
from typing import NoReturn
from typing import Self
from typing import Unpack

from django_hookflow import clock
from django_hookflow.exceptions import MisusedStep
from django_hookflow.exceptions import WorkflowError
from django_hookflow.journal import UNDO
from django_hookflow.journal import UNDO_SUFFIX
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.names import NAME_LENGTH
from django_hookflow.names import is_name
from django_hookflow.outcomes import Ask
from django_hookflow.outcomes import Start
from django_hookflow.serialization import RESULT
from django_hookflow.serialization import dumps
from django_hookflow.serialization import loads
from django_hookflow.states import StepStatus
from django_hookflow.steps.compensation import Compensation
from django_hookflow.steps.options import DEFAULTS
from django_hookflow.steps.options import Given
from django_hookflow.steps.options import Options
from django_hookflow.steps.session import Session


class Step(ABC):
    """One durable operation of one pass."""

    kind: ClassVar[str]
    takes: ClassVar[frozenset[str]] = frozenset()  # names of options
    kinds: ClassVar[list[type[Step]]] = []  # all there are

    def __init_subclass__(cls) -> None:
        if "kind" in vars(cls):  # else it is the base of some
            Step.kinds.append(cls)

    def __init__(
        self, session: Session, step_id: str, options: Options
    ) -> None:
        if options is not DEFAULTS:
            self._refuse_misuse(step_id, options)
        self.session = session
        self.step_id = step_id
        self.options = options

    @classmethod
    def _refuse_misuse(cls, step_id: str, options: Options) -> None:
        for option in fields(options):
            name = option.name
            if name in cls.takes or getattr(options, name) in (None, False):
                continue
            raise MisusedStep(
                step_id,
                f"is a {cls.kind} step, which knows no option {name!r}",
                f"Leave it out, or use it with {cls._takers_of(name)}.",
            )
        if problem := options.problem():
            raise MisusedStep(step_id, *problem)

    @staticmethod
    def _takers_of(option: str) -> str:
        """Return the kinds that take an option, such as "run and call"."""
        takers = [kind for kind in Step.kinds if option in kind.takes]
        # An author does not make an undo.
        kinds = [kind.kind for kind in takers if kind.kind != UNDO]
        *others, last = dict.fromkeys(kinds)
        return f"{', '.join(others)} and {last}" if others else last

    def outcome(self) -> Any:
        """Return the recorded result, or that of executing the step now.

        Raises WorkflowError if the step failed, then and at every replay,
        and a Suspension if the run has to wait for it.
        """
        prior = self.session.ask(self.step_id, self.kind)
        if self.options.compensate is not None:
            self.session.undos[self.step_id] = self.options.compensate
        if prior is not None and prior.is_recorded:
            self.session.replayed(prior)
            return self.answer(prior)
        if prior is not None and self.is_early(prior):
            self.session.wait(prior)
        entry = self.session.begin(self.step_id, self.kind, prior)
        if self.options.compensate is not None:
            entry = entry._replace(undo=self._undo())
        return self.session.execute(entry, self.execute)

    def _undo(self) -> str:
        """Return how the step is undone, for its entry."""
        self.refuse_long_name("where it has compensate=")
        undo: Compensation = self.options.compensate
        return undo.path

    def refuse_long_name(self, where: str) -> None:
        """Refuse a name to which that of the undo cannot be added."""
        longest = NAME_LENGTH - len(UNDO_SUFFIX)
        if len(self.step_id) > longest:
            raise MisusedStep(
                self.step_id,
                f"has a name of {len(self.step_id)} characters",
                f"Use at most {longest} {where}.",
            )

    @abstractmethod
    def execute(self, entry: Entry) -> Any:
        """Act, then return `answer()` of what was recorded, or suspend."""

    def is_early(self, prior: Entry) -> bool:
        """True if a waiting step is not due: its message came too soon."""
        return prior.wake_at is not None and clock.now() < prior.wake_at

    def answer(self, entry: Entry, cause: BaseException | None = None) -> Any:
        """Return a recorded result to the workflow function, or raise."""
        if entry.failure is None:
            return loads(entry.result)
        if self.options.optional:
            return None
        raise entry.error() from cause

    def completed(self, entry: Entry, value: Any = None) -> Entry:
        """`entry` with a result; SerializationError if it does not fit."""
        result = dumps(value, ("result", RESULT, self.step_id))
        return entry.ended(StepStatus.COMPLETED, clock.now(), result)

    def failed(self, entry: Entry, failure: Failure) -> Entry:
        ended = entry.ended(StepStatus.FAILED, clock.now(), failure=failure)
        return self.unfinished(ended)

    def unfinished(self, entry: Entry) -> Entry:
        """Return the entry of a step that did not complete.

        There is nothing to undo, unless the author wants it undone anyway.
        """
        undo = self.options.compensate
        if undo is None or undo.when == "attempted":
            return entry
        return entry._replace(undo="")

    def record(self, entry: Entry, cause: BaseException | None = None) -> Any:
        """Keep `entry` for ever and answer with it."""
        self.session.recorder.append(entry)
        return self.keep(entry, cause)

    def keep(self, entry: Entry, cause: BaseException | None = None) -> Any:
        """Answer with an entry that is committed."""
        self.session.recorded(entry)
        return self.answer(entry, cause)

    def late(
        self, entry: Entry, error: type[WorkflowError], what: str
    ) -> Entry:
        """Return `entry` failed: `what` since the step was first reached."""
        since = entry.started_at or clock.now()
        message = f"{what} since {since:%Y-%m-%d %H:%M:%S}"
        return self.failed(
            entry, Failure(type=error.__name__, message=message)
        )

    def wait(
        self,
        entry: Entry,
        until: datetime | None,
        error: BaseException | None = None,
        starts: tuple[Start, ...] = (),
        racers: tuple[Entry, ...] = (),
        asks: tuple[Ask, ...] = (),
    ) -> NoReturn:
        """Suspend the run until a time, an event, a run or the next attempt.

        `error`: what the last attempt failed of. `starts`: runs that begin
        meanwhile. `racers`: waits beside this one. `asks`: questions that are
        asked with it.
        """
        entry = self.unfinished(entry)._replace(
            status=StepStatus.WAITING,
            wake_at=until,
            failure=Failure.of_step(error) if error else None,
        )
        racers = tuple(r._replace(status=StepStatus.WAITING) for r in racers)
        self.session.wait(entry, error, starts, racers, asks)


class Steps:
    """Methods of `ctx.step` for one kind; StepManager has them all."""

    def __init__(self, session: Session, options: Options = DEFAULTS) -> None:
        self._session = session
        self._options = options

    def options(self, **given: Unpack[Given]) -> Self:
        """Set how the next step behaves; options left out keep their value.

        `retry`: its own policy. `timeout`: an attempt that takes longer has
        failed with StepTimeout, and its result is dropped; seconds, a
        timedelta or text such as "5m". `atomic`: run it in a transaction
        that commits together with its journal entry, so it happens exactly
        once. `optional`: when it fails, record that and return None.
        `at_most_once`: never begin it twice; one that began and did not end
        raises StepInterrupted. `compensate`: a function of the step's result
        that undoes it when the run fails later or is cancelled, or a
        Compensation with details.
        """
        chosen = Options(**given).over(self._options)
        return type(self)(self._session, chosen)


def refuse_address(step_id: str, name: str, match: str) -> None:
    """Refuse names that send_event refuses to send."""
    for text in (name, match or "any"):
        if not is_name(text):
            raise MisusedStep(
                step_id,
                f"waits for {text[:50]!r}, of {len(text)} characters",
                f"Use 1 to {NAME_LENGTH}, without control characters and "
                "line breaks.",
            )
