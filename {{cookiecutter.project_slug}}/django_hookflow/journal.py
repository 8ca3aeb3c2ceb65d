"""The journal of a run: one entry for each of its steps."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import NamedTuple
from typing import Protocol

from django_hookflow.clock import NEVER
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import MisusedStep
from django_hookflow.exceptions import StepInterrupted
from django_hookflow.exceptions import StepTimeout
from django_hookflow.exceptions import WorkflowError
from django_hookflow.exceptions import members
from django_hookflow.exceptions import origins
from django_hookflow.names import NAME_LENGTH
from django_hookflow.states import RECORDED
from django_hookflow.states import StepStatus

# Failures that a replay raises as their own class, not as WorkflowError.
FAILURES: dict[str, type[WorkflowError]] = {
    EventTimeout.__name__: EventTimeout,
    StepInterrupted.__name__: StepInterrupted,
    StepTimeout.__name__: StepTimeout,
}


INVOKE = "invoke"  # the kind of a step that has a run of its own
MAP, PARALLEL = "map", "parallel"  # of one that has many: its branches
STARTING = (INVOKE, MAP, PARALLEL)
CONTINUED_AS = "continued_as"  # in the result of a run that went on as another
CANCELLED = "RunCancelled"  # the type of the failure of a step whose run was
FIRST = "first"  # the kind of a race of waits
RACER = "racer"  # the kind of an entry beside it, until it is decided
ANSWER = "hookflow.answer:"  # what the event begins with that answers a step
UNDO = "undo"  # the kind of a step that undoes another
UNDO_SUFFIX = "~undo"  # what the id of such a step ends with
PATCH = "patch"  # the kind of the entry that says a run knows a change
PATCH_SUFFIX = "~patch"  # what the id of such an entry ends with
BODY = "body"  # how a step is undone: as the workflow function says
RUNS = "runs"  # how one is that has started runs: those are rolled back
TYPE_LENGTH = 255
MESSAGE_LENGTH = 10_000
MEMBERS_SHOWN = 20  # of a group of errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    type: str  # the class, for example "KeyError"; of a step, its own
    message: str
    step_id: str = ""  # the step it comes from; empty is the function itself

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        return cls(
            type=_type_of(error),
            message=_text(error),
            step_id=_step_of(error),
        )

    @classmethod
    def of_step(cls, error: BaseException) -> Failure:
        """Return that of an attempt; a timeout says what it was, not more."""
        if isinstance(error, StepTimeout):
            return cls(type=error.error_type, message=error.error)
        return cls.of(error)


# In the place of a failure where there is none: what columns are then.
NO_FAILURE = Failure(type="", message="")


# Of a wait for an event that is not recorded, or lost a race just now.
ON_THE_WAY = (StepStatus.WAITING, StepStatus.RUNNING, StepStatus.SKIPPED)


class Entry(NamedTuple):
    """A step in the journal. Immutable once its status is in RECORDED.

    A tuple, since each new step makes two: a frozen dataclass takes thrice
    as long to make and to change.
    """

    step_id: str
    kind: str
    status: StepStatus
    position: int  # steps are numbered as they are first reached, from 0
    result: str | None = None  # JSON text
    failure: Failure | None = None
    attempts: int = 1  # executions begun, those that died included
    deliveries: int = 1  # deliveries that worked on it
    started_at: datetime | None = None
    executed_at: datetime | None = None
    wake_at: datetime | None = None  # when it is due again; None is never
    event_name: str = ""  # the event it waits for
    event_match: str = ""  # by this key; empty is by the run
    undo: str = ""  # how it is undone; empty is not
    has_row: bool = False  # it has a row, which another entry may replace

    @property
    def is_plain(self) -> bool:
        """True if it neither failed nor waits, and has nothing to undo."""
        return not (
            self.failure or self.wake_at or self.event_name or self.undo
        )

    @property
    def address(self) -> tuple[str, str]:
        """Name and match of the event it waits for."""
        return self.event_name, self.event_match

    @property
    def is_recorded(self) -> bool:
        return self.status in RECORDED

    def ended(
        self,
        status: StepStatus,
        at: datetime,
        result: str | None = None,
        failure: Failure | None = None,
    ) -> Entry:
        """Return the final entry; by position, twice as fast as _replace."""
        return Entry(
            self.step_id,
            self.kind,
            status,
            self.position,
            result,
            failure,
            self.attempts,
            self.deliveries,
            self.started_at,
            at,
            None,
            self.event_name,
            self.event_match,
            self.undo,
            self.has_row,
        )

    @property
    def undoes(self) -> str:
        """Return the id of the step that an undo is for."""
        return self.step_id.removesuffix(UNDO_SUFFIX)

    def error(self) -> WorkflowError:
        """Return the failure as the exception that a workflow gets."""
        failure = self.failure or NO_FAILURE
        kind = FAILURES.get(failure.type, WorkflowError)
        return kind(self.step_id, failure.type, failure.message, self.attempts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """How a run stands that a step has started."""

    is_open: bool
    has_undo: bool = False  # it has completed, and can be rolled back
    is_undone: bool = False  # it was rolled back
    branch: int = 0  # which one of the step's runs it is
    result: str | None = None  # JSON text
    failure: Failure | None = None


class Journal:
    """The entries of one run by step id, as one delivery sees them."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: dict[str, Entry] = {}
        self._end = 0
        for entry in entries:
            self.add(entry)

    @property
    def end(self) -> int:
        """The position of the next new step."""
        return self._end

    @property
    def last_id(self) -> str | None:
        """The step first reached last; None when there is none."""
        return next(reversed(self._entries), None)

    def get(self, step_id: str) -> Entry | None:
        return self._entries.get(step_id)

    def __getitem__(self, step_id: str) -> Entry:
        return self._entries[step_id]

    def add(self, entry: Entry) -> None:
        self._entries[entry.step_id] = entry
        self._end = max(self._end, entry.position + 1)

    def abandoned(self, waits: Iterable[Entry]) -> list[Entry]:
        """Waits for an event at which the run does not stand any more.

        `waits`: the step it waits for now, and those beside it.
        """
        stands_at = {(entry.step_id, entry.address) for entry in waits}
        return [
            entry
            for entry in self._entries.values()
            if entry.event_name
            and entry.status in ON_THE_WAY
            and (entry.step_id, entry.address) not in stands_at
        ]

    def with_open_children(self) -> list[Entry]:
        """Return the steps that have started runs and not seen their end."""
        return [
            entry
            for entry in self._entries.values()
            if entry.kind in STARTING and not entry.is_recorded
        ]

    def of_kind(self, kind: str) -> list[Entry]:
        return [e for e in self._entries.values() if e.kind == kind]

    @property
    def has_undo(self) -> bool:
        """True if a step has to be undone, or was: by its function itself."""
        return any(entry.undo for entry in self._entries.values())

    def to_undo(self) -> list[Entry]:
        """Return the steps to undo: what ended last comes first.

        A step whose end is not known comes before all.
        """
        found = [
            entry
            for entry in self._entries.values()
            if entry.undo and entry.status != StepStatus.COMPENSATED
        ]
        found.sort(key=lambda e: (e.executed_at or NEVER, e.position))
        return found[::-1]

    @property
    def last_recorded(self) -> str:
        """The step recorded last; empty when there is none."""
        recorded = [e for e in self._entries.values() if e.is_recorded]
        last = max(recorded, key=lambda e: e.position, default=None)
        return last.step_id if last else ""


class Fork(NamedTuple):
    """Where the way to a branch leaves the function of its parent."""

    journal: Journal  # of the parent, as far as it has come
    root_id: str  # of the parent: its idempotency keys are made of it
    step_id: str
    branch: int


class Recorder(Protocol):
    """Writes to the journal of a run whose lease we hold.

    Every method raises LeaseLost when the lease is not ours any more, or when
    the database's answer was lost, and the outcome is unknown.
    """

    def hold(self) -> None:
        """Make sure of the lease, by the clock as long as that suffices.

        A process that slept between two steps may have lost it, and the step
        it would begin now may have been recorded by another.
        """

    @property
    def is_enclosed(self) -> bool:
        """True if the function has opened a transaction around its steps."""

    def append(self, entry: Entry) -> None: ...

    def atomic(self) -> AbstractContextManager[None]:
        """A transaction that the entries appended in it share."""

    def children(self, step_id: str) -> list[Child]:
        """Return the runs that a step has started, in order."""

    def can_undo_children(self, step_id: str) -> bool:
        """True if runs have completed that the undo of a step rolls back.

        And it has begun with none of those that are left.
        """

    def stop_children(self, step_id: str) -> None:
        """Cancel those that are open; each ends when it can."""

    must_stop: bool  # the last write learned that the run is to

    def consume_event(self, entry: Entry) -> Entry | None:
        """`entry` completed by the event it waits for; None if none came."""

    def consume_first(
        self, entry: Entry, waits: Mapping[str, Entry]
    ) -> Entry | None:
        """`entry` completed by the first event that one of `waits` is for.

        Its result is the name of that and the data; None if none came.
        """

    def append_decision(self, entry: Entry, waits: Collection[Entry]) -> bool:
        """Append the end of waits whose time is over, and close them.

        False, and nothing is written, if an event has come to one of them.
        """


def _type_of(error: BaseException) -> str:
    """Return the class name of an error; for a failed step, of its cause."""
    if isinstance(error, WorkflowError):
        return _fit(str(error.error_type))[:TYPE_LENGTH]
    return type(error).__name__[:TYPE_LENGTH]


def _step_of(error: BaseException) -> str:
    """Return the id of the step that failed, or "" for the function."""
    for origin in origins(error):
        if isinstance(origin, WorkflowError | MisusedStep):
            return _fit(str(origin.step_id))[:NAME_LENGTH]
    return ""


def _text(error: BaseException) -> str:
    """Return the text of an error, as any database can keep it."""
    text = _said(error)
    if isinstance(error, BaseExceptionGroup):
        held = islice(members(error), MEMBERS_SHOWN)
        text += ": " + "; ".join(
            f"{type(member).__name__}: {_said(member)}" for member in held
        )
    return _fit(text[:MESSAGE_LENGTH])


def _fit(text: str) -> str:
    """Return text that any database can keep, and any page show."""
    kept = text.replace("\0", "\\0")
    return kept.encode("utf-8", "backslashreplace").decode()


def _said(error: BaseException) -> str:
    try:
        return str(error)[:MESSAGE_LENGTH]
    except Exception:
        return "an error that cannot be printed"
