"""The graph of a workflow: its steps, and the ways from one to another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django_hookflow.inspection.program import Block
from django_hookflow.inspection.program import Branch
from django_hookflow.inspection.program import CallUse
from django_hookflow.inspection.program import Inline
from django_hookflow.inspection.program import Item
from django_hookflow.inspection.program import Jump
from django_hookflow.inspection.program import Loop
from django_hookflow.inspection.program import StepUse
from django_hookflow.inspection.program import Try
from django_hookflow.inspection.program import blocks_of

# The kinds of nodes that are no steps. All others are those of StepUse.
START = "start"
END = "end"
FAILURE = "failure"
DECISION = "decision"
LOOP = "loop"
JOIN = "join"
UNDO = "undo"
NO_STEPS = (START, END, FAILURE, DECISION, LOOP, JOIN, UNDO)

# The styles of edges.
NEXT = "next"
ERROR = "error"
BACK = "back"
COMPENSATION = "compensation"


@dataclass(frozen=True, slots=True)
class Node:
    id: str
    kind: str
    label: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    source: str  # the id of a node
    target: str
    label: str = ""
    style: str = NEXT


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in the order of the source: only BACK edges go to earlier ones."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """An edge that does not have its target yet."""

    source: str
    label: str = ""
    style: str = NEXT


Ways = list[Way]


def graph_of(title: str, program: Block) -> Graph:
    """Return the graph of a program."""
    builder = _Builder()
    start = builder.node(START, "start", [])
    ways = builder.block(program, [Way(start)])
    if ways:
        builder.node(END, "completed", ways)
    return Graph(title, tuple(builder.nodes), tuple(builder.edges))


class _Builder:
    """Adds nodes; each method returns the ways that lead on."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.returns: list[Ways] = []  # of the functions that are followed
        self.loops: list[tuple[str, Ways]] = []  # nodes, and their breaks

    def node(self, kind: str, label: str, ways: Ways, detail: str = "") -> str:
        node = Node(f"n{len(self.nodes)}", kind, label, detail)
        self.nodes.append(node)
        self.connect(ways, node.id)
        return node.id

    def connect(self, ways: Ways, target: str) -> None:
        self.edges += [
            Edge(way.source, target, way.label, way.style) for way in ways
        ]

    def block(self, block: Block, ways: Ways) -> Ways:
        for item in block.items:
            if ways and _is_shown(item):
                ways = self.item(item, ways)
        return ways

    def item(self, item: Item, ways: Ways) -> Ways:
        match item:
            case StepUse():
                return self.step(item, ways)
            case Branch():
                return self.branch(item, ways)
            case Loop():
                return self.loop(item, ways)
            case Try():
                return self.attempt(item, ways)
            case Jump():
                return self.jump(item, ways)
            case _:
                return self.called(blocks_of(item), ways)

    def step(self, step: StepUse, ways: Ways) -> Ways:
        node = self.node(step.kind, step.step_id, ways, step.detail)
        if step.undo:
            way = Way(node, "", COMPENSATION)
            self.node(UNDO, "undo", [way], step.undo.label)
        is_plain = not any(block.has_steps() for _, block in step.branches)
        if is_plain and (step.kind == "map" or not step.branches):
            return [Way(node)]
        ends: Ways = []
        for name, block in step.branches:
            if block.has_steps():
                ends += self.called([block], [Way(node, name)])
            else:
                ends.append(Way(self.node("run", name, [Way(node)])))
        return [Way(self.node(JOIN, f"end of {step.step_id}", ends))]

    def branch(self, branch: Branch, ways: Ways) -> Ways:
        node = self.node(DECISION, branch.test, ways)
        ends: Ways = []
        for label, block in branch.cases:
            ends += self.block(block, [Way(node, label)])
        return ends

    def loop(self, loop: Loop, ways: Ways) -> Ways:
        node = self.node(LOOP, loop.text, ways)
        breaks: Ways = []
        self.loops.append((node, breaks))
        self.go_back(self.block(loop.body, [Way(node, "each")]))
        self.loops.pop()
        return breaks if loop.is_endless else [*breaks, Way(node, "done")]

    def go_back(self, ways: Ways) -> None:
        loop, _ = self.loops[-1]
        back = [Way(way.source, way.label, BACK) for way in ways]
        self.connect([way for way in back if way.source != loop], loop)

    def attempt(self, item: Try, ways: Ways) -> Ways:
        before = len(self.nodes)
        ends = self.block(item.body, ways)
        steps = [n for n in self.nodes[before:] if n.kind not in NO_STEPS]
        for handler in item.handlers if steps else ():
            label = handler.label or "any error"
            caught = [Way(node.id, label, ERROR) for node in steps]
            ends += self.block(handler.body, caught)
        return self.block(item.finally_, ends)

    def jump(self, jump: Jump, ways: Ways) -> Ways:
        match jump.kind:
            case "return" if self.returns:
                self.returns[-1] += ways
            case "break":
                self.loops[-1][1].extend(ways)
            case "continue":
                self.go_back(ways)
            case "raise":
                self.node(FAILURE, "fails", ways, jump.label)
            case "continue_as_new":
                self.node(END, "goes on as a new run", ways)
            case _:
                self.node(END, "completed", ways, jump.label)
        return []

    def called(self, blocks: list[Block], ways: Ways) -> Ways:
        """Follow a function; all its returns lead to the same place."""
        with self.inside() as returned:
            for block in blocks:
                returned += self.block(block, ways)
        return returned

    @contextmanager
    def inside(self) -> Iterator[Ways]:
        returned: Ways = []
        loops, self.loops = self.loops, []
        self.returns.append(returned)
        yield returned
        self.returns.pop()
        self.loops = loops


def _is_shown(item: Item) -> bool:
    """True for steps, and for all that decides which of them come next."""
    match item:
        case StepUse() | Jump():
            return True
        case CallUse():
            return False
        case Inline(_, body):
            return body.has_steps() or _can_fail(body)
        case _:
            return any(
                _is_shown(inner)
                for block in blocks_of(item)
                for inner in block.items
            )


def _can_fail(block: Block) -> bool:
    return any(
        (isinstance(item, Jump) and item.kind == "raise")
        or any(_can_fail(inner) for inner in blocks_of(item))
        for item in block.items
    )
