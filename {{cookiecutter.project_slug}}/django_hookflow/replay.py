"""Run a workflow function over its journal and say how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import TypeAlias

from django_hookflow import stopping
from django_hookflow.exceptions import LeaseLost
from django_hookflow.exceptions import StepWaiting
from django_hookflow.exceptions import Suspension
from django_hookflow.journal import Entry
from django_hookflow.serialization import dumps
from django_hookflow.workflows.context import WorkflowContext


@dataclass(frozen=True, slots=True)
class Returned:
    result: str  # JSON text


@dataclass(frozen=True, slots=True)
class Raised:
    error: BaseException
    has_recorded: bool = False  # a step, before it was raised


@dataclass(frozen=True, slots=True)
class Waiting:
    entry: Entry  # for what, and until when
    error: BaseException | None = None  # what it is tried again for


@dataclass(frozen=True, slots=True)
class OutOfBudget:
    """There are more steps; the next delivery goes on with them."""


Outcome: TypeAlias = Returned | Raised | Waiting | OutOfBudget


def replay(
    function: Callable[[WorkflowContext], Any], ctx: WorkflowContext
) -> Outcome:
    """The outcome of one pass.

    Raises LeaseLost, and what stops the process: then nothing is decided.
    """
    try:
        result = function(ctx)
        outcome: Outcome = _returned(ctx, result)
    except Suspension:
        outcome = OutOfBudget()
    except BaseException as error:
        if stopping.stops(error):
            raise
        outcome = Raised(error, ctx.session.has_recorded)
    ctx.session.tell_held()
    if ctx.session.ended_by is not None:
        raise ctx.session.ended_by
    # A suspension decides even when the function swallowed it.
    return _suspended(ctx.session.suspension) or outcome


def _returned(ctx: WorkflowContext, result: Any) -> Returned:
    return Returned(dumps(result, f"The result of run {ctx.run_id!r}"))


def _suspended(suspension: Suspension | None) -> Outcome | None:
    if suspension is None:
        return None
    if isinstance(suspension, LeaseLost):
        raise suspension
    if isinstance(suspension, StepWaiting):
        return Waiting(suspension.entry, suspension.error)
    return OutOfBudget()
