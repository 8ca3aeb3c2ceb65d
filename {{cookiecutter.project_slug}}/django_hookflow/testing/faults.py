"""The faults that the kit can make, by name, and where a test meets them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

DELIVERY = "delivery"
MESSAGE = "message"

# The event itself, by the place of a fault. Those of steps come first, since
# their stories are the easiest to understand.
STORIES = {
    "after-effect": (
        "the process died after the function of step {what!r} returned and "
        "before its result was recorded"
    ),
    "before-write": (
        "the process died in the function of step {what!r}, before a "
        "statement that writes"
    ),
    "after-record": (
        "the process died right after the result of step {what!r} was recorded"
    ),
    "before-effect": (
        "the process died before the function of step {what!r} was called"
    ),
    "before-commit": (
        "the process died at the end of {what} {number}, before that was "
        "committed"
    ),
    "before-publish": (
        "the process died after the commit of {what} {number} and before the "
        "next message was sent"
    ),
    "before-acknowledge": (
        "the process died after {what} {number} and before that was "
        "acknowledged, so its message came again"
    ),
    "lost": "{what} {number} was lost, and the sweeper sent it again",
    "doubled": "{what} {number} was delivered twice",
    "delayed": "{what} {number} was delivered after the others that were due",
}
PLACES = tuple(STORIES)
OF_DELIVERIES = ("before-commit", "before-publish", "before-acknowledge")
OF_MESSAGES = ("lost", "doubled", "delayed")
OF_STEPS = tuple(
    place for place in PLACES if place not in OF_DELIVERIES + OF_MESSAGES
)

NAME = re.compile(r"(?P<what>.+?)(?:#(?P<number>[1-9]\d*))?:(?P<place>[^:]+)")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, once: `charge:after-effect`."""

    what: str  # a step id, "delivery" or "message"
    place: str  # one of PLACES
    number: int = 1  # which time the test comes there, from 1

    def __str__(self) -> str:
        number = f"#{self.number}" if self.number > 1 else ""
        return f"{self.what}{number}:{self.place}"

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Return the fault of a name; ValueError says what is wrong."""
        found = NAME.fullmatch(text)
        if found is None or found["place"] not in PLACES:
            raise ValueError(
                f"Invalid fault {text!r}, expected a step id and one of "
                f"{', '.join(OF_STEPS)}, such as 'charge:after-effect' or "
                "'charge#2:after-effect' for the second time; or "
                "'delivery:' and one of "
                f"{', '.join(OF_DELIVERIES)}; or 'message:' and one of "
                f"{', '.join(OF_MESSAGES)}."
            )
        return cls(found["what"], found["place"], int(found["number"] or 1))

    @property
    def story(self) -> str:
        """The event itself, as a part of a sentence."""
        said = STORIES[self.place].format(what=self.what, number=self.number)
        if self.number == 1 or self.place not in OF_STEPS:
            return said
        return f"{said} (time {self.number})"


class Faults:
    """The faults of one pass of a test, and where it has come."""

    def __init__(self, wanted: Iterable[Fault] = ()) -> None:
        self.wanted = frozenset(wanted)
        self.reached: list[Fault] = []
        self._times: Counter[tuple[str, str]] = Counter()

    def strike(self, what: str, place: str) -> bool:
        """Take note of a place; True if its fault is to happen now."""
        self._times[what, place] += 1
        fault = Fault(what, place, self._times[what, place])
        self.reached.append(fault)
        return fault in self.wanted

    def not_reached(self) -> str:
        """Return a sentence on wanted faults that did not happen, or ""."""
        missed = sorted(map(str, self.wanted - {*self.reached}))
        if not missed:
            return ""
        known = [str(fault) for fault in self.reached]
        close = get_close_matches(missed[0], known, n=3)
        shown = close or known[:10]
        there = ", ".join(shown) or "none, since no run was delivered"
        return (
            f"The test did not come to {missed[0]!r}. Places that it came to: "
            f"{there}."
        )
