"""How a delivery ends: outcomes of a pass, and the verdict over them.

Plain values, so that a word does not cost an import of the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from typing import TypeAlias

from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.retry import RetryPolicy
from django_hookflow.states import TERMINAL
from django_hookflow.states import Request
from django_hookflow.states import RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The runs that begin when the step they belong to begins to wait.

    One of a workflow with data; or branches of the function that has the
    step, of which `data` says what makes them the same in a later run; or
    those that roll back what another step has started.
    """

    step_id: str
    data: str = ""  # JSON text
    workflow_id: str = ""  # of branches: that of the run with the step
    version: int = 0
    timeout: timedelta | None = None  # how long it may last; None is for ever
    branches: int = 0  # 0 is none: one run
    at_once: int = 1  # branches that may be at work at the same time
    undoes: bool = False  # the next of the runs to roll back for an undo


@dataclass(frozen=True, slots=True)
class Continued:
    """A new run that goes on in the place of one that ends."""

    run_id: str
    timeout: timedelta | None  # how long it may last; None is for ever
    data: str  # JSON text


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question that is asked when its step begins to wait."""

    step_id: str
    title: str
    description: str
    form: str  # the path of what checks the answer; empty takes all
    to_user: str  # a key as text
    to_group: str  # a name
    due_at: datetime | None
    # When people are told again, and the group that it goes to then, if any.
    plan: tuple[tuple[datetime, str], ...]


@dataclass(frozen=True, slots=True)
class Returned:
    result: str  # JSON text
    continued: Continued | None = None  # it goes on as a new run


@dataclass(frozen=True, slots=True)
class Raised:
    error: BaseException
    has_recorded: bool = False  # a step, before it was raised
    policy: RetryPolicy | None = None  # of the branch it comes from, if any


@dataclass(frozen=True, slots=True)
class Waiting:
    entry: Entry  # for what, and until when
    error: BaseException | None = None  # what it is tried again for
    starts: tuple[Start, ...] = ()
    racers: tuple[Entry, ...] = ()  # waits beside it, in the same race
    asks: tuple[Ask, ...] = ()


@dataclass(frozen=True, slots=True)
class NotYet:
    """A message came before the run was due to begin."""

    due: datetime


@dataclass(frozen=True, slots=True)
class OutOfBudget:
    """There are more steps; the next delivery goes on with them."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The run was to be cancelled before its function was called."""


@dataclass(frozen=True, slots=True)
class RolledBack:
    """Each step that had an undo was undone, or could not be."""

    undone: tuple[str, ...]  # step ids, in order
    failed: dict[str, str]  # step ids, and why


Outcome: TypeAlias = (
    Returned | Raised | Waiting | NotYet | OutOfBudget | Cancelled | RolledBack
)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a run stands when a delivery of it ends."""

    status: RunStatus
    attempts: int  # failures outside steps since one was recorded
    requested: Request
    has_undo: bool = False  # a step of it has to be undone
    is_child: bool = False  # a step of another run waits for it
    failure: Failure | None = None  # why it is rolled back
    deadline: datetime | None = None  # when it fails; None is never


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The one write that ends a delivery."""

    status: RunStatus
    # When to send next; None is never. Of a paused run, it is only kept.
    wake_at: datetime | None = None
    entry: Entry | None = None  # the step the run waits for
    result: str | None = None  # JSON text
    failure: Failure | None = None
    attempts: int = 0  # failures outside steps since one was recorded
    starts: tuple[Start, ...] = ()  # runs that begin with it
    begins_rollback: bool = False  # of a run that has failed
    continued: Continued | None = None  # the run that goes on for it
    racers: tuple[Entry, ...] = ()  # waits beside it, in the same race
    asks: tuple[Ask, ...] = ()  # questions that are asked with it

    @property
    def is_final(self) -> bool:
        return self.status in TERMINAL

    @property
    def is_failure(self) -> bool:
        """True where a run has failed, and maybe has steps to undo first."""
        return self.status == RunStatus.FAILED or self.begins_rollback


@dataclass(frozen=True, slots=True)
class Stale:
    """The message is not the live one; there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Another delivery holds the lease."""

    seconds: float  # until it ends


@dataclass(frozen=True, slots=True)
class Parked:
    """This process does not have the code of the run."""


# What becomes of a delivery.
Advance: TypeAlias = Verdict | Stale | Busy | Parked
