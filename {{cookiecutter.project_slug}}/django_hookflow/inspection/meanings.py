"""The meanings of expressions in a workflow function."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import TypeAlias

from django_hookflow.inspection.program import UndoUse
from django_hookflow.inspection.source import MISSING
from django_hookflow.inspection.source import Known
from django_hookflow.steps.compensation import Compensation


@dataclass(frozen=True, slots=True)
class Context:
    """The argument of the workflow function."""


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any  # a text, a number, True, False or None


@dataclass(frozen=True, slots=True)
class Local:
    """A function that is defined in the workflow function."""

    node: ast.FunctionDef
    scope: Mapping[str, Meaning]


@dataclass(frozen=True, slots=True)
class Named:
    """A workflow that is looked up by its id."""

    workflow_id: str


@dataclass(frozen=True, slots=True)
class Undo:
    """A call of `Compensation`."""

    use: UndoUse


@dataclass(frozen=True, slots=True)
class Given:
    """An argument with its text."""

    meaning: Meaning
    text: str


@dataclass(frozen=True, slots=True)
class Manager:
    """`ctx.step`, with the options given so far."""

    options: Mapping[str, Given] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fluent:
    """`ctx.step(…)`, which waits for its `.run()`."""

    call: ast.Call
    options: Mapping[str, Given]


Meaning: TypeAlias = (
    Known | Context | Constant | Local | Undo | Manager | Fluent
)

PLAIN = (str, int, float, bool, type(None))


def unknown(name: str) -> Known:
    """Return what no module has: no rule about names applies to it."""
    return Known(f"<{name}>")


def text_of(given: Given) -> str:
    """Return an argument for people."""
    match given.meaning:
        case Constant(value) if isinstance(value, str):
            return value
        case Known(_, value) if isinstance(
            workflow_id := getattr(value, "workflow_id", None), str
        ):
            return workflow_id
        case _:
            return given.text


def undo_of(given: Given | None) -> UndoUse | None:
    """Return what `compensate=` was given; None without any."""
    if given is None or given.meaning == Constant(None):
        return None
    match given.meaning:
        case Undo(use):
            return use
        case Known(_, Compensation() as value):
            return UndoUse(
                getattr(value.undo, "__name__", given.text),
                value.when == "attempted",
            )
        case _:
            return UndoUse(given.text)


def is_on(given: Given | None) -> bool:
    """True unless an option is missing, or known to be None or False."""
    if given is None:
        return False
    match given.meaning:
        case Constant(value):
            return bool(value)
        case _:
            return True


def merged(
    arms: list[dict[str, Meaning]], before: dict[str, Meaning]
) -> dict[str, Meaning]:
    """Return what names stand for behind the arms of a branch."""
    if not arms:
        return before
    first, *others = arms
    after: dict[str, Meaning] = {}
    for name in dict.fromkeys(key for arm in arms for key in arm):
        meanings = [arm.get(name, MISSING) for arm in others]
        same = all(first.get(name, MISSING) is one for one in meanings)
        after[name] = first[name] if same else unknown(name)
    return after
