"""Find the smallest faults under which a test fails that passed without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Generic
from typing import TypeAlias
from typing import TypeVar

from django_hookflow.testing.faults import PLACES
from django_hookflow.testing.faults import Fault

T = TypeVar("T")

BUDGET = 100  # passes of a test


@dataclass(frozen=True, slots=True)
class Pass(Generic[T]):
    """A test was run once."""

    faults: tuple[Fault, ...]
    has_passed: bool
    reached: Sequence[Fault]  # places that it came to
    called: Counter[str]  # how often the function of each step was
    report: T  # what the caller keeps of it


Attempt: TypeAlias = Callable[[tuple[Fault, ...]], Pass[T]]


@dataclass(frozen=True, slots=True)
class Explored(Generic[T]):
    """The end of a search."""

    clean: Pass[T]
    passes: int
    single: int  # single faults that there are
    found: Pass[T] | None = None

    @property
    def skipped(self) -> int:
        """The number of single faults that the budget did not allow."""
        if self.found or not self.clean.has_passed:
            return 0
        return max(0, self.single - self.passes + 1)

    @property
    def sentence(self) -> str:
        """The story of what was found."""
        assert self.found is not None
        story = ", and then ".join(f.story for f in self.found.faults)
        return f"{self._consequence(self.found.called)}: {story}."

    def _consequence(self, called: Counter[str]) -> str:
        clean = self.clean.called
        more = [step for step in called if called[step] > clean[step]]
        if not more:
            return "The test fails"
        step = more[0]
        times, usual = called[step], clean[step]
        said = {1: "once", 2: "twice"}.get(times, f"{times} times")
        instead = "" if usual == 1 else f" instead of {usual or 'never'}"
        return f"Step {step!r} ran {said}{instead}"


def explore(
    attempt: Attempt[T], budget: int = BUDGET, seed: int = 0
) -> Explored[T]:
    """Make each fault alone, then pairs of them; stop at the first failure.

    `attempt`: runs the test once, in a clean state. `budget`: passes. A pair
    is tried only if neither of its faults was enough, so what is found is
    the smallest. `seed`: decides which pairs are tried.
    """
    clean = attempt(())
    single = sorted(dict.fromkeys(clean.reached), key=_rank)
    passes = 1
    if not clean.has_passed:
        return Explored(clean, passes, len(single))
    pairs: list[tuple[Fault, ...]] = []
    for fault in single[: max(0, budget - 1)]:
        one = attempt((fault,))
        passes += 1
        if not one.has_passed:
            return Explored(clean, passes, len(single), one)
        pairs += [(fault, then) for then in _after(fault, one.reached)]
    left = max(0, budget - passes)
    chosen = Random(seed).sample(pairs, min(left, len(pairs)))  # noqa: S311
    for pair in chosen:
        both = attempt(pair)
        passes += 1
        if not both.has_passed:
            return Explored(clean, passes, len(single), both)
    return Explored(clean, passes, len(single))


def _rank(fault: Fault) -> int:
    return PLACES.index(fault.place)


def _after(fault: Fault, reached: Sequence[Fault]) -> Sequence[Fault]:
    """Return the places to which a test came after a fault, if it did."""
    if fault not in reached:
        return ()  # it comes to other places each time
    return reached[reached.index(fault) + 1 :]
