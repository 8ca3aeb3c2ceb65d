"""Which errors are retried, and after how long."""

from __future__ import annotations

from django_hookflow import RetryPolicy
from django_hookflow.exceptions import WorkflowError
from django_hookflow.retry import is_retryable_error


def test_a_backoff_beyond_all_numbers_is_the_maximum() -> None:
    policy = RetryPolicy(retries=10_000, factor=10.0, maximum=60)

    assert policy.delay_before(5000, ConnectionError()) == 60


def test_an_error_wrapped_by_a_step_is_judged_by_its_cause() -> None:
    def wrapped(cause: Exception) -> WorkflowError:
        error = WorkflowError("x", "y", "z")
        error.__cause__ = cause
        return error

    assert is_retryable_error(wrapped(ConnectionError()))
    assert not is_retryable_error(wrapped(ValueError()))
    assert not is_retryable_error(WorkflowError("x", "y", "z"))


def test_a_failure_that_is_its_own_cause_is_not_tried_again() -> None:
    error = WorkflowError("charge", "ValueError", "no")
    error.__cause__ = error

    assert not is_retryable_error(error)
