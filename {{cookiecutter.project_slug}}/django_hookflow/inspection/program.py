"""The steps and branches of a workflow function, as its source shows them."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, as editors open it."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class UndoUse:
    """The value of `compensate=`."""

    label: str  # such as "services.take_again"
    has_when: bool = False


@dataclass(frozen=True, slots=True)
class StepUse:
    """A call of `ctx.step`."""

    kind: str  # the method of ctx.step, or of ctx
    step_id: str  # as written; "close-{number}" of an f-string
    place: Place
    is_literal: bool = True  # else the id may differ from call to call
    detail: str = ""  # the function, event, duration or workflow
    undo: UndoUse | None = None
    may_be_unknown: bool = False  # it can fail after its effect
    branches: tuple[tuple[str, Block], ...] = ()  # of map and parallel


@dataclass(frozen=True, slots=True)
class CallUse:
    """Any other call of the function, outside of steps."""

    name: str  # such as "django.utils.timezone.now" or "order.save"
    text: str  # as written
    place: Place
    has_arguments: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """One of some blocks is executed: `if`, `match`, `and`, `or`."""

    test: str
    cases: tuple[tuple[str, Block], ...]  # label and block; both may be empty


@dataclass(frozen=True, slots=True)
class Loop:
    text: str  # such as "for line in lines"
    body: Block
    is_endless: bool = False  # `while True`


@dataclass(frozen=True, slots=True)
class Handler:
    """An `except` clause."""

    label: str  # the types as written; empty without any
    body: Block
    place: Place
    catches_all: bool  # also what ends a delivery
    raises: bool  # it has a `raise` of its own


@dataclass(frozen=True, slots=True)
class Try:
    body: Block
    handlers: tuple[Handler, ...]
    finally_: Block


@dataclass(frozen=True, slots=True)
class Inline:
    """A function of the same module that is called; its returns end it."""

    name: str
    body: Block


@dataclass(frozen=True, slots=True)
class Jump:
    """The end of a path: "return", "raise", "break" or "continue"."""

    kind: str
    label: str
    place: Place


Item: TypeAlias = StepUse | CallUse | Branch | Loop | Try | Inline | Jump


@dataclass(slots=True)
class Block:
    """Items that are executed one after the other."""

    items: list[Item] = field(default_factory=list)

    def has_steps(self) -> bool:
        return any(_has_steps(item) for item in self.items)


def blocks_of(item: Item) -> list[Block]:
    """Return the blocks inside of an item, in the order of the source."""
    match item:
        case Branch():
            return [block for _, block in item.cases]
        case Loop() | Inline():
            return [item.body]
        case Try():
            handlers = [handler.body for handler in item.handlers]
            return [item.body, *handlers, item.finally_]
        case StepUse():
            return [block for _, block in item.branches]
        case _:
            return []


def _has_steps(item: Item) -> bool:
    if isinstance(item, StepUse):
        return True
    return any(block.has_steps() for block in blocks_of(item))
