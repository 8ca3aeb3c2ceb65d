"""The result of a program in a world without faults.

It knows nothing of journals, messages and replays: it walks the tree once.
Only the waits need to be told how they ended, since that depends on when
events were sent; laws.py judges those by themselves.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatchmethod
from typing import Any

from django_hookflow.tests.simulation.programs import Ask
from django_hookflow.tests.simulation.programs import Broken
from django_hookflow.tests.simulation.programs import ByHand
from django_hookflow.tests.simulation.programs import Call
from django_hookflow.tests.simulation.programs import Collapse
from django_hookflow.tests.simulation.programs import FanOut
from django_hookflow.tests.simulation.programs import Fatal
from django_hookflow.tests.simulation.programs import Invoke
from django_hookflow.tests.simulation.programs import Node
from django_hookflow.tests.simulation.programs import Once
from django_hookflow.tests.simulation.programs import Poll
from django_hookflow.tests.simulation.programs import Program
from django_hookflow.tests.simulation.programs import Race
from django_hookflow.tests.simulation.programs import Sleep
from django_hookflow.tests.simulation.programs import Spawn
from django_hookflow.tests.simulation.programs import Stumble
from django_hookflow.tests.simulation.programs import Tell
from django_hookflow.tests.simulation.programs import Wait
from django_hookflow.tests.simulation.programs import Work

# The kinds that note their step before what they do when it has failed.
TELL_THEMSELVES = (Wait, Ask, Race, Invoke, FanOut, Broken, Collapse, Once)

INTERRUPTED = "StepInterrupted"
LATE = object()  # the wait ended without its event


@dataclass(frozen=True)
class Failed:
    """The run that was invoked has failed."""

    error_type: str


@dataclass(frozen=True)
class End:
    status: str
    result: Any = None
    at: str = ""  # the step where it failed or waits
    steps: tuple[str, ...] = ()  # every step that ended, in order


class _Stop(Exception):
    def __init__(self, status: str, at: str) -> None:
        self.status = status
        self.at = at


def interpret(
    program: Program,
    root_id: str,
    waits: Mapping[str, object],
    replays: int,
    failed: Collection[str] = (),
) -> End:
    """`waits`: what each wait received by its step id, LATE or Failed, and
    Failed for each step that was interrupted.


    `replays`: how often a dead letter of the run `root_id` was replayed.
    `failed`: steps that had failed in a run that ended by its crashes. Its
    function may have caught them, so a replay keeps them.
    """
    walk = _Walk(root_id, waits, replays, failed)
    try:
        result = walk.program(program)
    except _Stop as stop:
        return End(stop.status, None, stop.at, tuple(walk.steps))
    return End("completed", result, "", tuple(walk.steps))


class _Walk:
    def __init__(
        self,
        root_id: str,
        waits: Mapping[str, object],
        replays: int,
        failed: Collection[str],
    ) -> None:
        self.root_id = root_id
        self.waits = waits
        self.replays = replays
        self.failed = failed
        self.steps: list[str] = []

    def program(self, program: Program) -> list[Any]:
        results: list[Any] = []
        for node in program:
            results += self.visit(node)
            if not isinstance(node, TELL_THEMSELVES):
                self.steps.append(node.id)
        return results

    @singledispatchmethod
    def visit(self, node: Node) -> list[Any]:
        raise NotImplementedError(node)

    @visit.register
    def _(self, node: Work) -> list[Any]:
        return [f"{node.id} done"]

    @visit.register
    def _(self, node: ByHand) -> list[Any]:
        return [f"{node.id} done"]

    @visit.register
    def _(self, node: Once) -> list[Any]:
        self.steps.append(node.id)
        received = self.waits.get(node.id)
        if received == Failed(INTERRUPTED):
            return ["interrupted", *self.program(node.fallback)]
        if node.error is None:
            return [f"{node.id} done"]
        return [node.error.__name__, *self.program(node.fallback)]

    @visit.register
    def _(self, node: Poll) -> list[Any]:
        return [f"{node.id} done"]

    @visit.register
    def _(self, node: Call) -> list[Any]:
        done = {"done": f"{self.root_id}:{node.id}"}
        return [{"status_code": 200, "data": done}]

    @visit.register
    def _(self, node: Broken) -> list[Any]:
        self.steps.append(node.id)
        if node.optional:
            return [None]
        return [node.error.__name__, *self.program(node.fallback)]

    @visit.register
    def _(self, node: Fatal) -> list[Any]:
        if self.replays >= node.runs and node.id not in self.failed:
            return [f"{node.id} done"]
        self.steps.append(node.id)
        raise _Stop("failed", node.id)

    @visit.register
    def _(self, node: Stumble) -> list[Any]:
        return [f"{node.id} done"]

    @visit.register
    def _(self, node: Collapse) -> list[Any]:
        if self.replays < node.runs:
            raise _Stop("failed", node.id)
        return []

    @visit.register
    def _(self, node: Sleep) -> list[Any]:
        return []

    @visit.register
    def _(self, node: Wait | Ask) -> list[Any]:
        if node.id not in self.waits:
            raise _Stop("waiting", node.id)
        self.steps.append(node.id)
        received = self.waits[node.id]
        if received is LATE:
            return ["late", *self.program(node.fallback)]
        return [received]

    @visit.register
    def _(self, node: Race) -> list[Any]:
        if node.id not in self.waits:
            raise _Stop("waiting", node.id)
        self.steps.append(node.id)
        return [self.waits[node.id]]

    @visit.register
    def _(self, node: Invoke) -> list[Any]:
        if node.id not in self.waits:
            raise _Stop("waiting", node.id)
        self.steps.append(node.id)
        received = self.waits[node.id]
        if not isinstance(received, Failed):
            return [received]
        if not node.caught:
            raise _Stop("failed", node.id)
        return [received.error_type, *self.program(node.fallback)]

    @visit.register
    def _(self, node: FanOut) -> list[Any]:
        if node.id not in self.waits:
            raise _Stop("waiting", node.id)
        self.steps.append(node.id)
        received = self.waits[node.id]
        if isinstance(received, Failed):
            return [received.error_type, *self.program(node.fallback)]
        return [received]

    @visit.register
    def _(self, node: Spawn) -> list[Any]:
        return [f"{self.root_id}/{node.id}"]

    @visit.register
    def _(self, node: Tell) -> list[Any]:
        return [f"{self.root_id}/{node.id}"]
