"""One pass of a workflow function over its journal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from typing import Any
from typing import NoReturn
from urllib.parse import quote

from django_hookflow import calls
from django_hookflow import clock
from django_hookflow import stopping
from django_hookflow.exceptions import LeaseLost
from django_hookflow.exceptions import MisusedStep
from django_hookflow.exceptions import StepCompleted
from django_hookflow.exceptions import StepWaiting
from django_hookflow.exceptions import Suspension
from django_hookflow.journal import PATCH_SUFFIX
from django_hookflow.journal import UNDO_SUFFIX
from django_hookflow.journal import Entry
from django_hookflow.journal import Fork
from django_hookflow.journal import Journal
from django_hookflow.journal import Recorder
from django_hookflow.names import NAME_LENGTH
from django_hookflow.names import is_name
from django_hookflow.outcomes import Ask
from django_hookflow.outcomes import Outcome
from django_hookflow.outcomes import Raised
from django_hookflow.outcomes import Returned
from django_hookflow.outcomes import Start
from django_hookflow.outcomes import Waiting
from django_hookflow.retry import RetryPolicy
from django_hookflow.serialization import dumps
from django_hookflow.states import StepStatus
from django_hookflow.steps.compensation import Compensation
from django_hookflow.tracing import Work

RESERVED = (UNDO_SUFFIX, PATCH_SUFFIX)  # ends of ids
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


@dataclass(slots=True, kw_only=True)
class Session:
    """State that the steps of one delivery share."""

    journal: Journal
    recorder: Recorder
    policy: RetryPolicy
    idempotency_root: str  # the run_id that idempotency keys are made of
    deadline: datetime  # when the budget of this delivery is used
    depth: int  # runs above this one
    crashes: int  # deliveries before this one that died in silence
    now: datetime  # the workflow's own time: that of its last recorded step
    work: Work  # where log records and tracers look what we are doing
    attributes: dict[str, Any] = field(default_factory=dict)  # of the run
    on_record: Callable[[Entry], None] = lambda entry: None
    rolls_back: bool = False  # nothing new begins
    path: tuple[Fork, ...] = ()  # to the branch that this delivery is for
    way: list[Fork] = field(default_factory=list)  # what is left of it
    branch: Outcome | None = None  # how its function has ended
    undos: dict[str, Compensation] = field(default_factory=dict)
    suspension: Suspension | None = None
    # For what, when that is why it suspends; or the end, by continue_as_new.
    waiting: Waiting | Returned | None = None
    ended_by: BaseException | None = None  # what stops the process
    has_recorded: bool = False  # a step, in this delivery
    unrun: str | None = None  # the step that was built, not run yet
    started: dict[str, Entry] = field(default_factory=dict)  # by hand
    patches: dict[str, bool] = field(default_factory=dict)  # by change
    # Log lines since the last known step, while the function is replayed.
    held: list[Callable[[], None]] = field(default_factory=list)
    # Its database connection is that of the recorder, and no other thread's.
    _thread: int = field(default_factory=threading.get_ident)
    _asked: set[str] = field(default_factory=set)
    _passed: set[str] = field(default_factory=set)  # without asking for them
    _last_asked: str = ""
    _seeds: int = 0  # made since that step
    _own: tuple[Journal, str] = field(init=False)  # what a way leads from

    def ask(self, step_id: str, kind: str) -> Entry | None:
        """Return the entry of a step that the function has come to, if any.

        Raises MisusedStep when the step breaks a rule.
        """
        self.enter(step_id)
        if not isinstance(step_id, str):
            raise _bad_name(step_id)
        entry = self.journal.get(step_id)
        if entry is None and not is_name(step_id):
            raise _bad_name(step_id)
        if step_id.endswith(RESERVED):
            raise _reserved(step_id)
        if step_id in self._asked:
            raise _asked_twice(step_id)
        if entry is not None and entry.kind != kind:
            raise _changed_kind(entry, kind)
        self._asked.add(step_id)
        self._last_asked, self._seeds = step_id, 0
        if self.held:
            self._decide_on_held(entry)
        return entry

    def _decide_on_held(self, entry: Entry | None) -> None:
        # An earlier pass told what comes before a step that it reached.
        if entry is None:
            self.tell_held()
        self.held.clear()

    def tell_held(self) -> None:
        """Tell the log lines that no known step has followed.

        A deploy may have removed the step that the run stands at.
        """
        held, self.held = self.held, []
        for tell in held:
            tell()

    def enter(self, step_id: str) -> None:
        """Refuse a step here and now, whatever it does.

        Raises the suspension again when the function swallowed it: a delivery
        that has ended does nothing more, in `finally` blocks too.
        """
        if self.suspension is not None:
            raise self.suspension
        if self.ended_by is not None:
            raise self.ended_by
        if self.unrun is not None:
            raise never_run(self.unrun)
        if self.work.step is not None:
            raise _inside(step_id, self.work.step)
        if threading.get_ident() != self._thread:
            raise _elsewhere(step_id)

    def has_reached(self, entry: Entry) -> bool:
        """True if the function has come to a step in this pass."""
        return entry.step_id in self._asked or entry.step_id in self._passed

    def pass_by(self, entry: Entry) -> None:
        """Take note that the function goes past a step that is recorded."""
        if self.has_reached(entry):
            return
        self._passed.add(entry.step_id)
        self._draw_behind(entry.step_id)
        if self.held:
            self._decide_on_held(entry)
        self.replayed(entry)

    def pass_marker(self, entry: Entry) -> None:
        """Take note that the function goes past an entry that is no step.

        It leaves the time and the random numbers as they are, so that it may
        go from the code.
        """
        self._passed.add(entry.step_id)
        if self.held:
            self._decide_on_held(entry)

    def append(self, entry: Entry) -> None:
        """Write to the journal; losing the lease in it ends the delivery."""
        try:
            self.recorder.hold()
            self.recorder.append(entry)
        except LeaseLost as lost:
            self.suspension = lost
            raise

    def start(self, entry: Entry) -> None:
        """Take note of a step that the function itself will end."""
        self.journal.add(entry)
        self.started[entry.step_id] = entry

    def end(self, entry: Entry) -> None:
        """Take note of its end, which is committed."""
        del self.started[entry.step_id]
        self._draw_behind(entry.step_id)
        self.recorded(entry)

    def _draw_behind(self, step_id: str) -> None:
        """Draw other random numbers than between its start and its end."""
        self._last_asked, self._seeds = f"{step_id}:end", 0

    @property
    def left_open(self) -> MisusedStep:
        """The error of a function that returns in the middle of a step."""
        if self.unrun is not None:
            return never_run(self.unrun)
        return MisusedStep(
            next(iter(self.started)),
            "was begun and not ended when the function returned",
            "Call ctx.record_step_complete or ctx.record_step_failure.",
        )

    def set_out(self) -> None:
        """Begin a pass of the function that leads to the branch."""
        self._own = self.journal, self.idempotency_root
        self.way = list(self.path)
        self._go_by(self.way[0].journal, self.way[0].root_id)

    def turn_off(self, step_id: str) -> int | None:
        """Return the branch of a step in which the way leaves the function.

        None if it does not. From here on, steps are those of the branch.
        """
        if not self.way or self.way[0].step_id != step_id:
            return None
        self.enter(step_id)
        fork = self.way.pop(0)
        if self.way:
            self._go_by(self.way[0].journal, self.way[0].root_id)
        else:
            self._go_by(*self._own)
        return fork.branch

    def come_back(self) -> bool:
        """End a pass; False if it has not come to its branch."""
        if not self.way:
            return True
        self.way = []
        self._go_by(*self._own)
        return False

    def _go_by(self, journal: Journal, root_id: str) -> None:
        self.journal, self.idempotency_root = journal, root_id
        self.held.clear()
        for seen in (self._asked, self._passed, self.undos):
            seen.clear()
        self._last_asked, self._seeds = "", 0

    def outcome_of(self, call: Callable[[], Any], what: str) -> Outcome | None:
        """Call a function of the author; None if it was suspended.

        `what`: its result, for the error if that is no data. Raises what
        stops the process.
        """
        around = calls.around
        try:
            result = call() if around is None else around(call)
            if self.unrun is not None or self.started:
                raise self.left_open
            return Returned(dumps(result, what))
        except Suspension:
            return None
        except BaseException as error:
            if stopping.stops(error):
                raise
            return Raised(error, self.has_recorded, self.policy)

    def build(self, step_id: str) -> None:
        """Take note of a step that is to be run before the next one."""
        if self.unrun is not None:
            raise never_run(self.unrun)
        self.unrun = str(step_id)

    def idempotency_key(self, step_id: str) -> str:
        """ASCII, since it goes into a header."""
        return quote(f"{self.idempotency_root}:{step_id}", PRINTABLE)

    def seed(self) -> str:
        """Return text that is another at each call, and at no replay."""
        self._seeds += 1
        return f"{self.idempotency_root}:{self._last_asked}:{self._seeds}"

    def begin(self, step_id: str, kind: str, prior: Entry | None) -> Entry:
        """Return the first version of the entry of a step that starts now."""
        if self.rolls_back or self.way:
            self.suspend(StepCompleted())
        if self.recorder.is_enclosed:
            raise enclosed(step_id)
        crashes, self.crashes = self.crashes, 0
        attempts = 1
        if prior is not None:
            # A wait that goes on is one attempt; one after a failure is
            # another, and so is one after a start, whose row counts it.
            is_started = prior.status == StepStatus.RUNNING
            attempts = prior.attempts + (is_started or bool(prior.failure))
            crashes = 0 if is_started else crashes
        return Entry(
            step_id=step_id,
            kind=kind,
            status=StepStatus.RUNNING,
            position=prior.position if prior else self.journal.end,
            attempts=attempts + crashes,
            deliveries=(prior.deliveries if prior else 0) + 1 + crashes,
            started_at=(prior and prior.started_at) or clock.now(),
            wake_at=prior.wake_at if prior else None,
            has_row=prior is not None,
        )

    def execute(self, entry: Entry, execute: Callable[[Entry], Any]) -> Any:
        """Execute a step: while it is, no other may stand in it.

        Losing the lease in it ends the delivery, and so does anything else
        that the step has not made its failure.
        """
        self.work.step = entry
        try:
            self.recorder.hold()
            if self.work.tracer is None:
                return execute(entry)
            with self.work.tracer.step(self.work):
                return execute(entry)
        except LeaseLost as lost:
            self.suspension = lost
            raise
        except (Exception, Suspension):
            raise
        except BaseException as error:
            self.ended_by = error
            raise
        finally:
            self.work.step = None

    @property
    def is_replaying(self) -> bool:
        """True until the function comes to the step that it last reached."""
        last = self.journal.last_id
        return not (
            last is None
            or last in self._asked
            or last in self._passed
            or self.work.step is not None
        )

    def recorded(self, entry: Entry) -> None:
        """Take note of an entry that is committed."""
        self.has_recorded = True
        self.journal.add(entry)
        self.replayed(entry)
        self.on_record(entry)
        now = entry.executed_at or clock.now()
        if (
            now >= self.deadline
            or self.recorder.must_stop
            or stopping.is_stopping()
        ):
            self.suspend(StepCompleted())

    def replayed(self, entry: Entry) -> None:
        # A step that a deploy has put before others is younger than they.
        self.now = max(entry.executed_at or self.now, self.now)

    def wait(
        self,
        entry: Entry,
        error: BaseException | None = None,
        starts: tuple[Start, ...] = (),
        racers: tuple[Entry, ...] = (),
        asks: tuple[Ask, ...] = (),
    ) -> NoReturn:
        """Suspend until `entry` is due.

        `error`: why it is tried again. `starts`: runs that begin meanwhile.
        `racers`: waits beside it. `asks`: questions that are asked with it.
        """
        if self.way:
            self.suspend(StepCompleted())
        self.waiting = Waiting(entry, error, starts, racers, asks)
        self.suspend(StepWaiting(error))

    def suspend(self, suspension: Suspension) -> NoReturn:
        self.suspension = suspension
        raise suspension


def never_run(step_id: str) -> MisusedStep:
    return MisusedStep(
        step_id,
        "was built by ctx.step(…) and not run",
        "End it with .run(), which returns its result, before the next step "
        "begins.",
    )


def _bad_name(step_id: object) -> MisusedStep:
    if not isinstance(step_id, str) or not step_id:
        return MisusedStep(
            str(step_id), "has no name", "Give each step a text as id."
        )
    if len(step_id) > NAME_LENGTH:
        return MisusedStep(
            step_id,
            f"has a name of {len(step_id)} characters",
            f"Use at most {NAME_LENGTH}.",
        )
    return MisusedStep(
        step_id,
        "has a control character or a line break in its name",
        "Leave it out; letters of all languages are fine.",
    )


def _reserved(step_id: str) -> MisusedStep:
    return MisusedStep(
        step_id,
        f"ends with {step_id[step_id.rindex('~') :]!r}",
        "The engine names entries of its own so, such as the undo of a step: "
        "choose another name.",
    )


def _inside(step_id: str, outer: Entry) -> MisusedStep:
    return MisusedStep(
        step_id,
        f"stands inside step {outer.step_id!r}",
        "A step is recorded as a whole, so it cannot hold another: "
        "call both from the workflow function.",
    )


def _elsewhere(step_id: str) -> MisusedStep:
    return MisusedStep(
        step_id,
        "was asked for in another thread",
        "Its entry would not commit with what it writes. Call steps in the "
        "thread of the workflow function; a step's own function may use "
        "threads.",
    )


def _asked_twice(step_id: str) -> MisusedStep:
    return MisusedStep(
        step_id,
        "was asked for twice in one pass",
        "Its first result would be returned again. In a loop, make "
        'the id of the item: f"mail-{customer.pk}".',
    )


def _changed_kind(entry: Entry, kind: str) -> MisusedStep:
    return MisusedStep(
        entry.step_id,
        f"is recorded as {entry.kind!r} and the code now asks for {kind!r}",
        "Give the new step another id; runs under way keep the old one.",
    )


def enclosed(step_id: str) -> MisusedStep:
    return MisusedStep(
        step_id,
        "stands inside a transaction of the workflow function",
        "A wait would roll its entry back. Open the transaction in the "
        "step's own function, or use options(atomic=True).",
    )
