"""The steps of a run as bars beside each other, with idle time folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from itertools import pairwise

from django_hookflow.models import StepExecution
from django_hookflow.states import RECORDED
from django_hookflow.states import StepStatus

WIDTH = 1000.0  # units of the picture
THINNEST = 6.0  # units of a bar
OPEN = 80.0  # units at the right end, for what has not ended
IDLE = 0.25  # what an idle time takes at most, as a part of all work

# Kinds of steps that do something; the others wait.
WORK = ("run", "call", "undo")


@dataclass(frozen=True, slots=True)
class Row:
    """A step with its bar, which is empty for one that never began."""

    step: StepExecution
    state: str
    about: str  # what it waits for; empty is nothing
    took: str
    x: str = ""  # units from the left
    width: str = ""  # units


def rows_of(steps: Sequence[StepExecution]) -> list[Row]:
    """Return the steps in order, each with its bar."""
    scale = Scale(steps)
    return [_row(step, *scale.bar(step)) for step in steps]


class Scale:
    """Where each moment is in the picture."""

    def __init__(self, steps: Iterable[StepExecution]) -> None:
        spans = [(step, *span(step)) for step in steps]
        begun = [one for one in spans if one[1] is not None]
        moments = {moment for one in begun for moment in one[1:] if moment}
        self._has_open = any(end is None for _, _, end in begun)
        changes: Counter[datetime] = Counter()
        for step, start, end in begun:
            if step.kind in WORK and start and end:
                changes[start] += 1
                changes[end] -= 1
        self._places = _places(sorted(moments), changes)

    def bar(self, step: StepExecution) -> tuple[str, str]:
        """Return where the bar of a step begins, and its width."""
        start, end = span(step)
        if start is None:
            return "", ""
        room = WIDTH - (OPEN if self._has_open else 0.0)
        x = self._places[start] * room
        until = WIDTH if end is None else self._places[end] * room
        width = max(until - x, THINNEST)
        return f"{min(x, WIDTH - width):.1f}", f"{width:.1f}"


def span(step: StepExecution) -> tuple[datetime | None, datetime | None]:
    """Return when a step began, and ended; None is not yet."""
    if step.status not in RECORDED:
        return step.started_at, None
    start = step.started_at or step.executed_at
    end = step.executed_at
    return start, max(start, end) if start and end else start


def _places(
    moments: Sequence[datetime], changes: Counter[datetime]
) -> dict[datetime, float]:
    """Return where each moment is, from 0 to 1.

    `changes`: by how many steps that work there are more from then on.
    """
    busy = 0
    spaces = []  # seconds, and whether there was work
    for one, after in pairwise(moments):
        busy += changes[one]
        spaces.append(((after - one).total_seconds(), busy > 0))
    work = sum(seconds for seconds, works in spaces if works)
    places, at = dict.fromkeys(moments[:1], 0.0), 0.0
    for moment, (seconds, works) in zip(moments[1:], spaces, strict=True):
        at += seconds if works or not work else min(seconds, work * IDLE)
        places[moment] = at
    return {one: place / at if at else 0.0 for one, place in places.items()}


def _row(step: StepExecution, x: str, width: str) -> Row:
    state = "timed out" if step.timed_out else step.status
    return Row(step, state, _about(step), took(step.duration), x, width)


def _about(step: StepExecution) -> str:
    if step.status != StepStatus.WAITING or not step.event_name:
        return ""
    if step.kind == "ask":
        return "for an answer"
    match = f" with {step.event_match}" if step.event_match else ""
    return f"for {step.event_name}{match}"


def took(duration: timedelta | None) -> str:
    """Return a duration for people: "12 ms", "1.4 s", "3 min", "2 d"."""
    if duration is None:
        return ""
    seconds = duration.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    for size, name in ((86_400, "d"), (3_600, "h")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds / 60:.0f} min"
