"""Steps without a duration."""

from __future__ import annotations

from django_hookflow.models import StepExecution


def test_a_step_that_never_began_has_no_duration() -> None:
    assert StepExecution(status="completed").duration is None
