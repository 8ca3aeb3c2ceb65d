"""The failures of tests that use the kit; each says it in one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from difflib import get_close_matches


class KitFailure(AssertionError):
    """A run did what the test does not allow, or the kit was misused."""


class NotCompleted(KitFailure):
    """The test asks for the result of a run that has none."""

    def __init__(self, run_id: str, status: str, why: str, told: str) -> None:
        said = f" ({why})" if why else ""
        super().__init__(
            f"Run {run_id!r} has no result: it is {status}{said}.\n{told}"
        )


class StepsDiffer(KitFailure):
    """The steps of a run are not those that the test expects."""

    def __init__(
        self,
        expected: Sequence[tuple[str, str]],
        found: Sequence[tuple[str, str]],
        told: str,
    ) -> None:
        first = next(
            (
                position
                for position, pair in enumerate(
                    zip(expected, found, strict=False)
                )
                if pair[0] != pair[1]
            ),
            min(len(expected), len(found)),
        )
        super().__init__(
            f"The steps differ at position {first}: expected "
            f"{_at(expected, first)}, found {_at(found, first)}.\n{told}"
        )


class UnknownStep(KitFailure):
    """A test names a step to which no run has come."""

    def __init__(self, what: str, step_id: str, known: Iterable[str]) -> None:
        super().__init__(
            f"{what} {step_id!r} was not used: no run called the function of "
            f"such a step.{nearest(step_id, known)}"
        )


class RunUnknown(KitFailure):
    """A test asks for a run that is not there, or not the only one."""

    def __init__(self, run_id: str | None, known: Sequence[str]) -> None:
        wanted = "is one run" if run_id is None else f"is a run {run_id!r}"
        shown = ", ".join(map(repr, known[:10])) or "none"
        super().__init__(
            f"The test expects that there {wanted}. Runs: {shown}."
        )


class NotWaitingFor(KitFailure):
    """A test sends an event for which its run does not wait."""

    def __init__(
        self, run_id: str, status: str, name: str, waits: Sequence[str]
    ) -> None:
        known = ", ".join(waits) or "nothing that is sent"
        super().__init__(
            f"Run {run_id!r} is {status} and does not wait for an event "
            f"{name!r}; it waits for {known}. Send the event later, or with "
            "early=True if it may come before the wait."
        )


class NoQuestion(KitFailure):
    """A test answers a question that no run asks."""

    def __init__(
        self, run_id: str, step_id: str | None, known: Sequence[str]
    ) -> None:
        which = "exactly one question" if step_id is None else repr(step_id)
        asked = ", ".join(map(repr, known)) or "none"
        super().__init__(
            f"Run {run_id!r} does not ask {which} at the moment. Open "
            f"questions: {asked}."
        )


class NoRest(KitFailure):
    """Messages follow one another without end."""

    def __init__(self, deliveries: int) -> None:
        super().__init__(
            f"The runs did not come to rest within {deliveries:,} deliveries. "
            "Look for a loop without a wait, or for runs that start others."
        )


class NotDeployed(KitFailure):
    """A run needs a workflow that the test process does not know."""

    def __init__(self, run_id: str, why: str) -> None:
        super().__init__(f"Run {run_id!r} cannot be delivered: {why}")


class Diverged(KitFailure):
    """A workflow function does otherwise when it is replayed."""

    def __init__(self, run_id: str, what: str, place: str, told: str) -> None:
        super().__init__(
            f"{what} when run {run_id!r} was replayed, at {place}. A workflow "
            "function must do the same at each replay: read the clock, the "
            "database, random numbers and other services in steps only.\n"
            f"{told}"
        )


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint at names that look like this one, as a sentence."""
    names = list(dict.fromkeys(known))
    close = get_close_matches(name, names, n=3)
    if close:
        return f" Did you mean {' or '.join(map(repr, close))}?"
    shown = ", ".join(map(repr, names[:20])) or "none"
    return f" Steps that were: {shown}."


def _at(steps: Sequence[tuple[str, str]], position: int) -> str:
    if position >= len(steps):
        return "no step"
    step_id, status = steps[position]
    return f"{step_id!r} {status}"
