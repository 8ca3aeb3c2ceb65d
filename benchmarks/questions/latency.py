"""Latency: of a trigger, and from an event to the step after it."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.figures import Figure
from benchmarks.figures import Rounds
from benchmarks.lab import OURS
from benchmarks.lab import Lab

ORDER = 40
TITLE = "Latency"
NOTE = (
    "A trigger inside a transaction that is open already: what it adds to a "
    "request; its COMMIT is the caller's. Over real HTTP, with gunicorn and "
    "the embedded server: a trigger on its own, with its COMMIT and its "
    "message accepted by the server; and the wake-up, "
    "from the call of send_event, its COMMIT and its message included, "
    "until the step after the wait runs under gunicorn; it is sent when the "
    "delivery that led to the wait is over. Each round is the median of its "
    "calls."
)
TRIGGER = "trigger in a transaction"
PUBLISH = "trigger, COMMIT, message sent"
WAKE = "event sent → step runs"


def ask(lab: Lab) -> Iterator[Figure]:
    rounds = Rounds("ms")
    for _ in range(lab.sizes.rounds):
        limit = lab.limit() * 1e3
        taken = lab.ours().ask("trigger", count=lab.sizes.wakes)
        rounds.add(TRIGGER, OURS, ms(taken), limit)
    yield rounds.figure(TRIGGER, OURS)
    with lab.site(workers=1) as (site, marks):
        for _ in range(lab.sizes.rounds):
            limit = lab.limit() * 1e3
            taken = site.ask("publish", count=lab.sizes.wakes)
            rounds.add(PUBLISH, OURS, ms(taken), limit)
            taken = site.ask("wake", count=lab.sizes.wakes, path=marks)
            rounds.add(WAKE, OURS, ms(taken), limit)
    yield rounds.figure(PUBLISH, OURS)
    yield rounds.figure(WAKE, OURS)


def ms(seconds: list[float]) -> float:
    return median(seconds) * 1e3
