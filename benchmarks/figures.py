"""Measured values, and their verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from statistics import median
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One contender's answer to one part of a question.

    `values` and `limits` have one number per round, of the same unit;
    without limits the figure stands for itself.
    """

    what: str  # such as "100 steps, PostgreSQL"
    who: str
    unit: str  # such as "µs per step"
    values: tuple[float, ...]
    limits: tuple[float, ...] = ()
    target: str = ""
    below: float | None = None  # the ratio (or value) is good up to this
    above: float | None = None  # or from this on

    @property
    def ratios(self) -> tuple[float, ...]:
        pairs = zip(self.values, self.limits, strict=True)
        return tuple(value / limit for value, limit in pairs)

    @property
    def verdict(self) -> str:
        """Return True if the target is met; empty when there is none."""
        found = median(self.ratios if self.limits else self.values)
        if self.below is not None:
            return "met" if found <= self.below else "missed"
        if self.above is not None:
            return "met" if found >= self.above else "missed"
        return ""

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "who": self.who,
            "unit": self.unit,
            "values": self.values,
            "limits": self.limits,
            "ratios": self.ratios if self.limits else (),
            "target": self.target,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, kw_only=True)
class Answer:
    """All figures of one question."""

    name: str
    title: str
    note: str
    figures: tuple[Figure, ...]
    skipped: tuple[str, ...] = ()  # a sentence each
    seconds: float = 0.0


@dataclass
class Rounds:
    """Collects one number per round and contender, with that round's limit."""

    unit: str
    found: dict[tuple[str, str], list[tuple[float, float]]] = field(
        default_factory=dict
    )

    def add(self, what: str, who: str, value: float, limit: float) -> None:
        self.found.setdefault((what, who), []).append((value, limit))

    def figure(self, what: str, who: str, **more: Any) -> Figure:
        values, limits = zip(*self.found[what, who], strict=True)
        return Figure(
            what=what,
            who=who,
            unit=self.unit,
            values=values,
            limits=limits,
            **more,
        )


def spread(numbers: tuple[float, ...]) -> str:
    """Return the median, and from where to where when there are more."""
    middle = readable(median(numbers))
    if len(numbers) < 2:
        return middle
    return f"{middle} ({readable(min(numbers))}–{readable(max(numbers))})"


def readable(number: float) -> str:
    """Three digits that matter."""
    size = abs(number)
    if size >= 100:
        return f"{number:,.0f}"
    if size == int(size):
        return f"{number:.0f}"
    if size >= 10:
        return f"{number:.1f}"
    return f"{number:.2f}" if size >= 0.01 else f"{number:.2g}"
