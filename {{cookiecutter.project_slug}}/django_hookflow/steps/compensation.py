"""How a step is undone when its run is rolled back."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django_hookflow.journal import BODY
from django_hookflow.retry import RetryPolicy
from django_hookflow.retry import checked_policy

WHEN = ("completed", "attempted")
LONGEST = 255  # characters of a path that the journal keeps

# After 1, 10, 100 and 1000 seconds, and then each hour for a day.
FOR_A_DAY = RetryPolicy(retries=27)


@dataclass(frozen=True, slots=True)
class Compensation:
    """Undoes a step by calling `undo` with its result.

    `when`: "completed", or "attempted" for a step that may have happened even
    if it failed or never ended; then `undo` gets None. `retry`: its policy,
    by default for a day. `atomic`: its rows commit with its entry.
    """

    undo: Callable[[Any], Any]
    when: str = "completed"
    retry: RetryPolicy = FOR_A_DAY
    atomic: bool = False

    def __post_init__(self) -> None:
        if not callable(self.undo):
            raise TypeError(
                f"Invalid compensation {self.undo!r}, expected a function of "
                "the result of the step. Write compensate=undo, without "
                "calling it."
            )
        if self.when not in WHEN:
            raise ValueError(
                f"Invalid when {self.when!r}, expected one of "
                f"{', '.join(map(repr, WHEN))}."
            )
        checked_policy(self.retry)

    @property
    def path(self) -> str:
        """Return where the function is, if it can be imported, else BODY."""
        module = getattr(self.undo, "__module__", None)
        name = getattr(self.undo, "__qualname__", None)
        path = f"{module}:{name}"
        if len(path) <= LONGEST and imported(path) is self.undo:
            return path
        return BODY


def compensation(given: object) -> Compensation | None:
    """Return what `compensate=` was given, as a Compensation."""
    if given is None or isinstance(given, Compensation):
        return given
    return Compensation(given)  # type: ignore[arg-type]  # it checks that


def imported(path: str) -> Callable[[Any], Any] | None:
    """Return the function of a path; None when the code has it no more."""
    try:
        found = pkgutil.resolve_name(path)
    except (ValueError, ImportError, AttributeError):
        return None
    return found if callable(found) else None
