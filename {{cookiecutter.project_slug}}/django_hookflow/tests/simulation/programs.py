"""Random workflows: trees of steps that can run themselves."""

from __future__ import annotations

import asyncio
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from functools import partial
from typing import Any
from typing import TypeAlias

from django_hookflow import Compensation
from django_hookflow import RetryPolicy
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import StepInterrupted
from django_hookflow.exceptions import WorkflowError
from django_hookflow.journal import ANSWER
from django_hookflow.races import Racer
from django_hookflow.races import after
from django_hookflow.races import event
from django_hookflow.tests.simulation.choices import Choices
from django_hookflow.tests.simulation.provider import Provider
from django_hookflow.workflows.context import WorkflowContext

EPOCH = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
LEASE = 36_000  # seconds; the real heartbeat never runs in a test
DAY = 86_400
DURATIONS = (1, 60, 600, LEASE // 2, LEASE, 2 * LEASE, 3 * DAY, 20 * DAY)
KEYS = ("", "red", "blue")  # the empty one waits by run
PERSON = "person"  # who is asked
# No other step fails of these; of the second after all its attempts.
FATAL = (KeyError, TimeoutError)
EXITS = (SystemExit, asyncio.CancelledError, KeyboardInterrupt)

# A crash counts as an attempt, so a step that must succeed may take many.
PATIENT = RetryPolicy(retries=10_000, delay=60, factor=1)
BRIEF = RetryPolicy(retries=2, delay=60, factor=10)
# Failures of the function itself, for each Stumble, until it continues.
OWN = RetryPolicy(retries=2, delay=60, factor=1)

Program: TypeAlias = "tuple[Node, ...]"


class Stage(ABC):
    """The functions that the world offers to the steps of one pass."""

    ctx: WorkflowContext

    @abstractmethod
    def replays(self) -> int:
        """Return how many replays of a dead letter came before this run."""

    @abstractmethod
    def between(self) -> None:
        """Run the function's own code, which may do anything."""

    @abstractmethod
    def work(
        self,
        step: str,
        *,
        atomic: bool = False,
        failures: int = 0,
        error: type[BaseException] | None = None,
    ) -> Any:
        """Run the body of a step: write rows, and fail as often as told."""

    @abstractmethod
    def undo(self, work: Work, result: Any) -> Any:
        """Undo a step: write a row, and fail as often as told."""

    @abstractmethod
    def poll(self, step: str, misses: int) -> Any:
        """The body of a poll: true after so many calls."""

    @abstractmethod
    def stumble(self, name: str, times: int) -> None:
        """Fail outside of any step, the first `times` times."""

    @abstractmethod
    def collapse(self, name: str) -> None:
        """Fail outside of any step."""

    @abstractmethod
    def sleeping(self, sleep: Sleep, fall_asleep: Do) -> None: ...

    @abstractmethod
    def waiting(self, wait: Wait, receive: Do) -> Any: ...

    @abstractmethod
    def asking(self, ask: Ask, receive: Do) -> Any: ...

    @abstractmethod
    def racing(self, race: Race, decide: Do) -> Any: ...

    @abstractmethod
    def invoke(self, invoke: Invoke) -> Any: ...

    @abstractmethod
    def branch(self, fan_out: FanOut, number: int) -> str:
        """The function of one branch, which has steps of its own."""

    @abstractmethod
    def spawn(self, step: str, program: int) -> Any: ...

    @abstractmethod
    def tell(self, tell: Tell) -> Any: ...


Do: TypeAlias = Callable[[], Any]


@dataclass(frozen=True)
class Node(ABC):
    id: str

    @abstractmethod
    def perform(self, stage: Stage) -> list[Any]:
        """Run it; return its part of the run's result."""


@dataclass(frozen=True)
class Work(Node):
    """A step that fails a few times and then succeeds."""

    atomic: bool = False
    failures: int = 0
    undo: str = ""  # when it has to be undone
    undo_fails: int = 0  # so many times, or for good when below 0
    timeout: int | None = None  # seconds

    def perform(self, stage: Stage) -> list[Any]:
        undo = None
        if self.undo:
            undo = Compensation(
                partial(stage.undo, self), when=self.undo, retry=PATIENT
            )
        step = stage.ctx.step.options(
            retry=PATIENT,
            atomic=self.atomic,
            timeout=self.timeout,
            compensate=undo,
        )
        return [
            step.run(
                self.id,
                stage.work,
                self.id,
                failures=self.failures,
                atomic=self.atomic,
            )
        ]


@dataclass(frozen=True)
class Once(Node):
    """A step that never begins twice, and may fail by itself."""

    error: type[BaseException] | None = None
    fallback: Program = ()

    def perform(self, stage: Stage) -> list[Any]:
        step = stage.ctx.step(
            self.id, stage.work, self.id, error=self.error
        ).at_most_once()
        try:
            return [step.run()]
        except StepInterrupted:
            return ["interrupted", *perform(self.fallback, stage)]
        except WorkflowError as error:
            return [error.error_type, *perform(self.fallback, stage)]


@dataclass(frozen=True)
class ByHand(Node):
    """A step that the function begins and ends itself."""

    def perform(self, stage: Stage) -> list[Any]:
        ctx = stage.ctx
        if not ctx.is_step_completed(self.id):
            ctx.record_step_start(self.id)
            ctx.record_step_complete(self.id, stage.work(self.id))
        return [ctx.get_step_result(self.id)]


@dataclass(frozen=True)
class Poll(Node):
    """A step that asks until it is answered."""

    misses: int = 0

    def perform(self, stage: Stage) -> list[Any]:
        step = stage.ctx.step.options(retry=PATIENT)
        ask = partial(stage.poll, self.id, self.misses)
        return [step.until(self.id, ask, every=600)]


@dataclass(frozen=True)
class Broken(Node):
    """A step that always fails, which the function catches or ignores."""

    error: type[BaseException] = ValueError
    atomic: bool = False
    optional: bool = False
    fallback: Program = ()

    def perform(self, stage: Stage) -> list[Any]:
        step = stage.ctx.step.options(
            retry=BRIEF, atomic=self.atomic, optional=self.optional
        )
        try:
            value = step.run(
                self.id,
                stage.work,
                self.id,
                error=self.error,
                atomic=self.atomic,
            )
        except WorkflowError as error:
            return [error.error_type, *perform(self.fallback, stage)]
        return [value]


@dataclass(frozen=True)
class Fatal(Node):
    """A step that fails its run, until it is fixed."""

    runs: int = 1  # so many, the first one and its replays
    error: type[Exception] = KeyError

    def perform(self, stage: Stage) -> list[Any]:
        step = stage.ctx.step.options(retry=BRIEF)
        error = self.error if stage.replays() < self.runs else None
        return [step.run(self.id, stage.work, self.id, error=error)]


@dataclass(frozen=True)
class Stumble(Node):
    """The function itself fails before a step, as often as it may."""

    times: int = 1

    def perform(self, stage: Stage) -> list[Any]:
        stage.stumble(self.id, self.times)
        step = stage.ctx.step.options(retry=PATIENT)
        return [step.run(self.id, stage.work, self.id)]


@dataclass(frozen=True)
class Collapse(Node):
    """The function itself fails until its run has failed and it is fixed."""

    runs: int = 1  # so many, the first one and its replays

    def perform(self, stage: Stage) -> list[Any]:
        if stage.replays() < self.runs:
            stage.collapse(self.id)
        return []


@dataclass(frozen=True)
class Sleep(Node):
    seconds: int = 1
    absolute: bool = False  # seconds from EPOCH, not from now

    def perform(self, stage: Stage) -> list[Any]:
        step = stage.ctx.step
        if self.absolute:
            when = EPOCH + timedelta(seconds=self.seconds)
            fall_asleep = partial(step.sleep_until, self.id, when)
        else:
            fall_asleep = partial(step.sleep, self.id, self.seconds)
        stage.sleeping(self, fall_asleep)
        return []


@dataclass(frozen=True)
class Wait(Node):
    name: str = "ping"
    match: str = ""
    timeout: int | None = None
    fallback: Program = ()

    def perform(self, stage: Stage) -> list[Any]:
        try:
            return [stage.waiting(self, lambda: self.receive(stage.ctx))]
        except EventTimeout:
            return ["late", *perform(self.fallback, stage)]

    def receive(self, ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event(
            self.id, self.name, timeout=self.timeout, match=self.match or None
        )


@dataclass(frozen=True)
class Ask(Node):
    """A question to people."""

    timeout: int | None = None
    fallback: Program = ()

    def perform(self, stage: Stage) -> list[Any]:
        try:
            return [stage.asking(self, lambda: self.receive(stage.ctx))]
        except EventTimeout:
            return ["late", *perform(self.fallback, stage)]

    def receive(self, ctx: WorkflowContext) -> Any:
        found = ctx.step.ask(self.id, to=PERSON, timeout=self.timeout)
        return found.data

    @property
    def wait(self) -> Wait:
        """The wait for an event that it is."""
        return Wait(self.id, name=ANSWER + self.id, timeout=self.timeout)


@dataclass(frozen=True)
class Race(Node):
    """A race of waits for events, and of a time."""

    waits: tuple[Wait, ...] = ()
    seconds: int | None = None

    def perform(self, stage: Stage) -> list[Any]:
        return [stage.racing(self, lambda: self.decide(stage.ctx))]

    def decide(self, ctx: WorkflowContext) -> Any:
        racers: dict[str, Racer] = {
            wait.id: event(wait.name, match=wait.match or None)
            for wait in self.waits
        }
        if self.seconds is not None:
            racers["late"] = after(self.seconds)
        return ctx.step.first(self.id, **racers)


@dataclass(frozen=True)
class Call(Node):
    """A request to a provider that fails a few times, and then answers."""

    failures: int = 0

    def perform(self, stage: Stage) -> list[Any]:
        step = stage.ctx.step.options(retry=PATIENT)
        url = f"{Provider.url}/{self.failures}/"
        return [step.call(self.id, url, method="POST")]


@dataclass(frozen=True)
class Spawn(Node):
    """An atomic step that triggers a run of another program."""

    program: int = 0

    def perform(self, stage: Stage) -> list[Any]:
        step = stage.ctx.step.options(retry=PATIENT, atomic=True)
        return [step.run(self.id, stage.spawn, self.id, self.program)]


@dataclass(frozen=True)
class Invoke(Node):
    """A run of another program, which this one waits for."""

    program: int = 0
    caught: bool = True  # else its failure takes this run with it
    fallback: Program = ()

    def perform(self, stage: Stage) -> list[Any]:
        try:
            return [stage.invoke(self)]
        except WorkflowError as error:
            if not self.caught:
                raise
            return [error.error_type, *perform(self.fallback, stage)]


@dataclass(frozen=True)
class FanOut(Node):
    """Branches side by side, of which some may fail."""

    width: int = 2
    at_once: int = 2
    broken: tuple[int, ...] = ()  # branches that fail
    tolerate: int | None = None
    enough: int | None = None
    atomic: bool = False
    nap: int = 0  # seconds
    undo: bool = False
    fallback: Program = ()

    def perform(self, stage: Stage) -> list[Any]:
        step = stage.ctx.step.options(retry=BRIEF)
        try:
            results = step.map(
                self.id,
                partial(stage.branch, self),
                range(self.width),
                max_parallel=self.at_once,
                tolerate=self.tolerate,
                enough=self.enough,
            )
        except WorkflowError as error:
            return [error.error_type, *perform(self.fallback, stage)]
        return [
            [
                one.error_type if isinstance(one, WorkflowError) else one
                for one in results
            ]
        ]


@dataclass(frozen=True)
class Tell(Node):
    """An atomic step that sends an event, by match."""

    name: str = "ping"
    match: str = "red"

    def perform(self, stage: Stage) -> list[Any]:
        step = stage.ctx.step.options(retry=PATIENT, atomic=True)
        return [step.run(self.id, stage.tell, self)]


def perform(program: Program, stage: Stage) -> list[Any]:
    results: list[Any] = []
    for node in program:
        stage.between()
        results += node.perform(stage)
    return results


# How often each is written.
KINDS = (
    "work", "work", "work", "sleep", "wait", "broken", "tell", "spawn",
    "stumble", "until", "fatal", "call", "invoke", "poll", "saga", "once",
    "by_hand", "timed", "race", "ask", "map",
)  # fmt: skip


@dataclass
class Author:
    """Writes programs; each of its steps has a name of its own."""

    choices: Choices
    children: tuple[int, ...] = ()  # programs to spawn and to invoke
    count: int = 0
    kinds: tuple[str, ...] = KINDS

    def program(self, longest: int, depth: int = 1) -> Program:
        length = 1 + self.choices.below(longest)
        return tuple(self.node(depth) for _ in range(length))

    def queue(self) -> Program:
        """For more runs than there are events."""
        wait = Wait("queue", match=self.choices.pick(KEYS[1:]))
        return (wait, Work("served", atomic=True))

    def node(self, depth: int) -> Node:
        kind = self.choices.pick(self.kinds)
        self.count += 1
        write: Callable[[str, int], Node] = getattr(self, f"_{kind}")
        return write(f"{kind}-{self.count}", depth)

    def _work(self, name: str, depth: int) -> Node:
        return Work(
            name,
            atomic=self.choices.chance(50),
            failures=max(0, self.choices.below(5) - 2),
        )

    def _saga(self, name: str, depth: int) -> Node:
        return Work(
            name,
            atomic=self.choices.chance(30),
            failures=max(0, self.choices.below(5) - 2),
            undo=self.choices.pick(("completed", "completed", "attempted")),
            undo_fails=self.choices.pick((0, 0, 0, 1, 2, -1)),
        )

    def _timed(self, name: str, depth: int) -> Node:
        return Work(
            name,
            atomic=self.choices.chance(50),
            timeout=self.choices.pick((60, LEASE)),
        )

    def _once(self, name: str, depth: int) -> Node:
        errors = (None, None, None, ValueError, ConnectionError)
        return Once(
            name,
            error=self.choices.pick(errors),
            fallback=self._fallback(depth),
        )

    def _by_hand(self, name: str, depth: int) -> Node:
        return ByHand(name)

    def _poll(self, name: str, depth: int) -> Node:
        return Poll(name, misses=self.choices.below(3))

    def _broken(self, name: str, depth: int) -> Node:
        return Broken(
            name,
            error=self.choices.pick((ValueError, ConnectionError, *EXITS)),
            atomic=self.choices.chance(30),
            optional=self.choices.chance(30),
            fallback=self._fallback(depth),
        )

    def _fatal(self, name: str, depth: int) -> Node:
        if not self.choices.chance(50):
            return Work(name)
        runs = 1 + self.choices.below(2)
        if self.choices.chance(25):
            return Collapse(name, runs=runs)
        return Fatal(name, runs=runs, error=self.choices.pick(FATAL))

    def _stumble(self, name: str, depth: int) -> Node:
        return Stumble(name, times=1 + self.choices.below(OWN.retries))

    def _sleep(self, name: str, depth: int) -> Node:
        return Sleep(name, seconds=self.choices.pick(DURATIONS))

    def _until(self, name: str, depth: int) -> Node:
        seconds = self.choices.pick(DURATIONS)
        return Sleep(name, seconds=seconds, absolute=True)

    def _wait(self, name: str, depth: int) -> Node:
        match = self.choices.pick(KEYS)
        return Wait(
            name,
            name=self.choices.pick(("ping", "pong")),
            match=match,
            timeout=self.choices.pick((None, None, None, *DURATIONS)),
            fallback=self._fallback(depth),
        )

    def _ask(self, name: str, depth: int) -> Node:
        return Ask(
            name,
            timeout=self.choices.pick((None, None, None, *DURATIONS)),
            fallback=self._fallback(depth),
        )

    def _race(self, name: str, depth: int) -> Node:
        waits = (
            Wait("ping", "ping", self.choices.pick(KEYS)),
            Wait("pong", "pong", self.choices.pick(KEYS)),
        )
        return Race(
            name,
            waits=waits[: 2 - self.choices.chance(30)],
            seconds=self.choices.pick((None, None, None, *DURATIONS)),
        )

    def _call(self, name: str, depth: int) -> Node:
        return Call(name, failures=max(0, self.choices.below(5) - 2))

    def _spawn(self, name: str, depth: int) -> Node:
        if not self.children:
            return Work(name, atomic=True)
        return Spawn(name, program=self.choices.pick(self.children))

    def _invoke(self, name: str, depth: int) -> Node:
        if not self.children:
            return Work(name)
        return Invoke(
            name,
            program=self.choices.pick(self.children),
            caught=not self.choices.chance(30),
            fallback=self._fallback(depth),
        )

    def _map(self, name: str, depth: int) -> Node:
        width = 1 + self.choices.below(5)
        broken = [n for n in range(width) if self.choices.chance(20)]
        enough = 1 + self.choices.below(width)
        return FanOut(
            name,
            width=width,
            at_once=1 + self.choices.below(3),
            broken=tuple(broken),
            tolerate=self.choices.pick((None, 0, 1, width)),
            enough=enough if self.choices.chance(30) else None,
            atomic=self.choices.chance(50),
            nap=self.choices.pick((0, 0, 60, LEASE)),
            undo=self.choices.chance(30),
            fallback=self._fallback(depth),
        )

    def _tell(self, name: str, depth: int) -> Node:
        return Tell(
            name,
            name=self.choices.pick(("ping", "pong")),
            match=self.choices.pick(KEYS[1:]),
        )

    def _fallback(self, depth: int) -> Program:
        return self.program(2, depth - 1) if depth > 0 else ()
