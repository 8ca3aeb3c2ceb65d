"""Decide about a run after a delivery. Pure: no clock, no database."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from datetime import timedelta

from django_hookflow.exceptions import CompensationFailed
from django_hookflow.exceptions import OutcomeRefused
from django_hookflow.exceptions import RunTimeout
from django_hookflow.exceptions import WorkerCrashed
from django_hookflow.exceptions import WorkflowError
from django_hookflow.journal import Failure
from django_hookflow.outcomes import Cancelled
from django_hookflow.outcomes import NotYet
from django_hookflow.outcomes import Outcome
from django_hookflow.outcomes import OutOfBudget
from django_hookflow.outcomes import Raised
from django_hookflow.outcomes import Returned
from django_hookflow.outcomes import RolledBack
from django_hookflow.outcomes import State
from django_hookflow.outcomes import Verdict
from django_hookflow.outcomes import Waiting
from django_hookflow.retry import RetryPolicy
from django_hookflow.states import NEXT
from django_hookflow.states import Request
from django_hookflow.states import RunStatus

# A failed step has had its retries, and is recorded: it cannot change. What
# kills its workers is not asked for a policy, which may be why.
FINAL = (WorkflowError, RunTimeout, WorkerCrashed, OutcomeRefused)

# A run that would end so is rolled back first, if it has something to undo.
ENDS_IN_ROLLBACK = (RunStatus.FAILED, RunStatus.CANCELLED)


def settle(
    state: State, outcome: Outcome, policy: RetryPolicy, now: datetime
) -> Verdict:
    """Return the verdict over an outcome: NEXT allows its status.

    A run that waits is woken at its deadline, if nothing is due before.
    """
    verdict = _verdict(state, outcome, policy, now)
    if state.status == RunStatus.COMPENSATING:
        return verdict
    # What is to be cancelled has come as far as it gets, unless it is done.
    # A parent that has ended would not undo what its child has done.
    is_done = isinstance(outcome, Returned) and outcome.continued is None
    is_done &= not (state.is_child and state.has_undo)
    if state.requested == Request.CANCEL and not is_done:
        verdict = Verdict(status=RunStatus.CANCELLED, failure=verdict.failure)
    if state.has_undo and verdict.status in ENDS_IN_ROLLBACK:
        verdict = Verdict(
            status=RunStatus.COMPENSATING,
            wake_at=now,
            failure=verdict.failure,
            begins_rollback=verdict.status == RunStatus.FAILED,
        )
    if state.deadline and verdict.status == RunStatus.WAITING:
        verdict = replace(
            verdict,
            wake_at=min(verdict.wake_at or state.deadline, state.deadline),
        )
    if state.requested == Request.PAUSE:
        verdict = _paused(verdict, now)
    assert verdict.status in NEXT[state.status], (state, verdict)
    return verdict


def _paused(verdict: Verdict, now: datetime) -> Verdict:
    """Pause a run that would wait, with what it waits for.

    A run that would begin with it begins when this one is resumed.
    """
    if verdict.status != RunStatus.WAITING:
        return verdict
    if verdict.starts:
        return Verdict(status=RunStatus.PAUSED, wake_at=now)
    return replace(verdict, status=RunStatus.PAUSED)


def _verdict(
    state: State, outcome: Outcome, policy: RetryPolicy, now: datetime
) -> Verdict:
    rolls_back = state.status == RunStatus.COMPENSATING
    waiting = RunStatus.COMPENSATING if rolls_back else RunStatus.WAITING
    match outcome:
        case Returned(result, continued):
            return Verdict(
                status=RunStatus.COMPLETED, result=result, continued=continued
            )
        case Waiting(entry, _, starts, racers, asks):
            return Verdict(
                status=waiting,
                wake_at=entry.wake_at,
                entry=entry,
                failure=state.failure if rolls_back else entry.failure,
                starts=starts,
                racers=racers,
                asks=asks,
            )
        case NotYet(due):
            return Verdict(status=RunStatus.WAITING, wake_at=due)
        case OutOfBudget():
            return Verdict(status=waiting, wake_at=now, failure=state.failure)
        case Cancelled():
            return Verdict(status=RunStatus.CANCELLED)
        case RolledBack(undone, failed):
            return _after_rollback(state, undone, failed)
        case Raised():  # pragma: no branch
            return _after_error(state, outcome, policy, now)


def _after_rollback(
    state: State, undone: tuple[str, ...], failed: dict[str, str]
) -> Verdict:
    why = state.failure
    if not failed:
        return Verdict(status=RunStatus.COMPENSATED, failure=why)
    said = f"{why.type}: {why.message}" if why else "it was cancelled"
    if why and why.type == CompensationFailed.__name__:
        said = CompensationFailed.ASKED
    failure = Failure.of(CompensationFailed(said, undone, failed))
    return Verdict(status=RunStatus.FAILED, failure=failure)


def _after_error(
    state: State, outcome: Raised, policy: RetryPolicy, now: datetime
) -> Verdict:
    error = outcome.error
    if state.status == RunStatus.COMPENSATING:
        said = f"{type(error).__name__}: {error}"
        return _after_rollback(state, (), {"rollback": said})
    attempts = 1 + (0 if outcome.has_recorded else state.attempts)
    failure = Failure.of(error)
    delay = None
    if not isinstance(error, FINAL):
        delay = (outcome.policy or policy).delay_before(attempts, error)
    if delay is None:
        return Verdict(
            status=RunStatus.FAILED, failure=failure, attempts=attempts
        )
    return Verdict(
        status=RunStatus.WAITING,
        wake_at=now + timedelta(seconds=delay),
        failure=failure,
        attempts=attempts,
    )
