"""Run a workflow function over its journal and say how it ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from django_hookflow.exceptions import BranchNotReached
from django_hookflow.exceptions import LeaseLost
from django_hookflow.exceptions import Suspension
from django_hookflow.journal import UNDO
from django_hookflow.outcomes import Outcome
from django_hookflow.outcomes import OutOfBudget
from django_hookflow.outcomes import RolledBack
from django_hookflow.states import StepStatus
from django_hookflow.steps.session import Session
from django_hookflow.steps.undo import undo_all
from django_hookflow.workflows.context import WorkflowContext


def roll_back(
    function: Callable[[WorkflowContext], Any],
    ctx: WorkflowContext,
    session: Session,
) -> Outcome:
    """Undo the steps of a run, and return what that has come to.

    Raises what replay() does.
    """

    def look() -> None:
        session.rolls_back = True
        with suppress(BranchNotReached):  # then we know of fewer
            replay(function, ctx, session)
        session.rolls_back = False
        session.suspension = session.waiting = session.branch = None

    try:
        undo_all(session, look)
    except Suspension:
        return _suspended(session)
    undos = session.journal.of_kind(UNDO)
    return RolledBack(
        tuple(e.undoes for e in undos if e.status == StepStatus.COMPLETED),
        {e.undoes: str(e.error()) for e in undos if e.failure is not None},
    )


def _suspended(session: Session) -> Outcome:
    if isinstance(session.suspension, LeaseLost):
        raise session.suspension
    return session.waiting or session.branch or OutOfBudget()


def replay(
    function: Callable[[WorkflowContext], Any],
    ctx: WorkflowContext,
    session: Session,
) -> Outcome:
    """Return the outcome of one pass.

    Raises LeaseLost, BranchNotReached, and what stops the process: then
    nothing is decided.
    """
    if session.path:
        session.set_out()
    outcome = session.outcome_of(
        partial(function, ctx), f"The result of run {ctx.run_id!r}"
    )
    if session.rolls_back or session.way:
        session.held.clear()  # it is not going on
    if session.held:
        session.tell_held()
    if session.ended_by is not None:
        raise session.ended_by
    if session.path and not session.come_back():
        fork = session.path[-1]
        raise BranchNotReached(fork.step_id, fork.branch)
    # A suspension decides even when the function swallowed it.
    if outcome is None or session.suspension is not None:
        return _suspended(session)
    return outcome
