"""Run a workflow function over its journal and say how it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django_hookflow import stopping
from django_hookflow.exceptions import LeaseLost
from django_hookflow.exceptions import Suspension
from django_hookflow.outcomes import Outcome
from django_hookflow.outcomes import OutOfBudget
from django_hookflow.outcomes import Raised
from django_hookflow.outcomes import Returned
from django_hookflow.serialization import dumps
from django_hookflow.steps.session import Session
from django_hookflow.workflows.context import WorkflowContext


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
    return _suspended(ctx.session) or outcome


def _returned(ctx: WorkflowContext, result: Any) -> Returned:
    return Returned(dumps(result, f"The result of run {ctx.run_id!r}"))


def _suspended(session: Session) -> Outcome | None:
    if session.suspension is None:
        return None
    if isinstance(session.suspension, LeaseLost):
        raise session.suspension
    return session.waiting or OutOfBudget()
