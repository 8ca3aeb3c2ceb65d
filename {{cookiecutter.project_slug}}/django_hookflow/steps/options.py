"""The options of steps; each kind names those it takes.

A new one is a line in Options and in Given, and a method in fluent.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import fields
from dataclasses import replace
from datetime import timedelta
from typing import Any
from typing import TypedDict

from django_hookflow import clock
from django_hookflow.clock import Duration
from django_hookflow.retry import RetryPolicy
from django_hookflow.retry import checked_policy
from django_hookflow.steps.compensation import Compensation
from django_hookflow.steps.compensation import compensation


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a step behaves. None is what was not said."""

    retry: RetryPolicy | None = None  # else the workflow's own
    timeout: Duration | None = None  # for each attempt
    atomic: bool | None = None  # commit the step's rows with its entry
    optional: bool | None = None  # a failure is recorded and returns None
    at_most_once: bool | None = None  # never begin the function twice
    # How to undo it: a Compensation, which a function alone becomes.
    compensate: Any = None

    def __post_init__(self) -> None:
        checked_policy(self.retry)
        checked = compensation(self.compensate)
        object.__setattr__(self, "compensate", checked)

    def over(self, others: Options) -> Options:
        """Return these options, and those of `others` that these lack."""
        said = {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        }
        return replace(others, **said)

    def problem(self) -> tuple[str, str] | None:
        """Return what makes no sense and what to do; None if all does."""
        if self.timeout is not None and not _is_some_time(self.timeout):
            return (
                f"has the timeout {self.timeout!r}",
                "Write seconds above 0 as a number, or text such as "
                '"30s" or "1h30m".',
            )
        if self.at_most_once and self.retry:
            return (
                "is at_most_once and has a retry policy",
                "It is never tried again: leave one of the two out.",
            )
        if self.at_most_once and self.atomic:
            return (
                "is at_most_once and atomic",
                "An atomic step happens exactly once: leave one of the two "
                "out.",
            )
        return None

    @property
    def limit(self) -> timedelta:
        """The timeout, once it has no problem; 0 is none."""
        return clock.duration(self.timeout or 0)


class Given(TypedDict, total=False):
    """The options as authors write them."""

    retry: RetryPolicy | None
    timeout: Duration | None
    atomic: bool | None
    optional: bool | None
    at_most_once: bool | None
    compensate: Compensation | Callable[[Any], Any] | None


DEFAULTS = Options()
DECLARED = "_hookflow_options"  # the attribute of a function with @step


def _is_some_time(timeout: Duration) -> bool:
    length = clock.fitting(timeout)
    return length is not None and length > timedelta()
