"""The options of `ctx.step.options()`; each kind names those it takes."""

from __future__ import annotations

from dataclasses import dataclass

from django_hookflow.retry import RetryPolicy
from django_hookflow.steps.compensation import Compensation


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the step that follows behaves."""

    retry: RetryPolicy | None = None  # None is the workflow's own
    atomic: bool = False  # commit the step's rows with its entry
    optional: bool = False  # a failure is recorded and returns None
    compensate: Compensation | None = None  # how to undo it


DEFAULTS = Options()
