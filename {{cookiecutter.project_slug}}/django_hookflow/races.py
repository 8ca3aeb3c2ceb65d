"""The racers of `ctx.step.first`: plain values, which wait for nothing.

from django_hookflow.races import after
from django_hookflow.races import event

name, value = ctx.step.first(
    "decision", paid=event("payment", match=number), late=after("3d")
)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import TypeAlias
from typing import TypedDict
from typing import Unpack

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


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRacer:
    """Wins with the Answer of a person."""

    form: Any = None
    schema: Any = None
    to: object = None
    group: object = None
    title: str = ""
    description: str = ""
    remind: Sequence[Duration] = ()
    escalate: tuple[Duration, object] | None = None


class Asked(TypedDict, total=False):
    """A question as authors write it."""

    form: Any
    schema: Any
    to: object
    group: object
    title: str
    description: str
    remind: Sequence[Duration]
    escalate: tuple[Duration, object] | None


Racer: TypeAlias = EventRacer | TimeRacer | QuestionRacer


def event(name: str, match: object = None) -> EventRacer:
    """An event, as `ctx.step.wait_for_event` would wait for it."""
    return EventRacer(name, "" if match is None else str(match))


def after(duration: Duration) -> TimeRacer:
    """The end of a duration: seconds, a timedelta, or text such as "3d"."""
    return TimeRacer(duration)


def question(**asked: Unpack[Asked]) -> QuestionRacer:
    """A question, as `ctx.step.ask` would ask it."""
    return QuestionRacer(**asked)
