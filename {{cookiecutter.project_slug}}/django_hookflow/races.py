"""The racers of `ctx.step.first`: plain values, which wait for nothing.

from django_hookflow.races import after
from django_hookflow.races import event

name, value = ctx.step.first(
    "decision", paid=event("payment", match=number), late=after("3d")
)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from django_hookflow.clock import Duration


@dataclass(frozen=True, slots=True)
class EventRacer:
    """Wins with the data of an event."""

    name: str
    match: str = ""


@dataclass(frozen=True, slots=True)
class TimeRacer:
    """Wins, with None, when a duration since the start of the race is over."""

    duration: Duration


Racer: TypeAlias = EventRacer | TimeRacer


def event(name: str, match: object = None) -> EventRacer:
    """An event, as `ctx.step.wait_for_event` would wait for it."""
    return EventRacer(name, "" if match is None else str(match))


def after(duration: Duration) -> TimeRacer:
    """The end of a duration: seconds, a timedelta, or text such as "3d"."""
    return TimeRacer(duration)
