"""What becomes of a run after a delivery. Pure: no clock, no database."""

from __future__ import annotations

from datetime import datetime
from datetime import timedelta

from django_hookflow.exceptions import WorkerCrashed
from django_hookflow.exceptions import WorkflowError
from django_hookflow.journal import Failure
from django_hookflow.outcomes import Outcome
from django_hookflow.outcomes import OutOfBudget
from django_hookflow.outcomes import Raised
from django_hookflow.outcomes import Returned
from django_hookflow.outcomes import Verdict
from django_hookflow.outcomes import Waiting
from django_hookflow.retry import RetryPolicy
from django_hookflow.states import RunStatus


def settle(
    outcome: Outcome, *, attempts: int, policy: RetryPolicy, now: datetime
) -> Verdict:
    """The verdict over an outcome.

    `attempts`: how often the function has failed outside its steps before,
    since a step was recorded.
    """
    match outcome:
        case Returned(result):
            return Verdict(status=RunStatus.COMPLETED, result=result)
        case Waiting(entry, _):
            return Verdict(
                status=RunStatus.WAITING,
                wake_at=entry.wake_at,
                entry=entry,
                failure=entry.failure,
            )
        case OutOfBudget():
            return Verdict(status=RunStatus.WAITING, wake_at=now)
        case Raised(error, has_recorded):  # pragma: no branch
            before = 0 if has_recorded else attempts
            return _after_error(error, before + 1, policy, now)


def _after_error(
    error: BaseException, attempts: int, policy: RetryPolicy, now: datetime
) -> Verdict:
    failure = Failure.of(error)
    delay = _delay(error, attempts, policy)
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


def _delay(
    error: BaseException, attempts: int, policy: RetryPolicy
) -> float | None:
    # A failed step has had its retries, and is recorded: it cannot change.
    # What kills its workers is not asked for a policy, which may be why.
    if isinstance(error, WorkflowError | WorkerCrashed):
        return None
    return policy.delay_before(attempts, error)
