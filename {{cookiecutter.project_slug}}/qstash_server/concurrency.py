"""Count deliveries in flight, and decide how many more may start.

A destination that hangs can hold its deliveries for up to two hours. To keep
workers free, one hanging host gets at most half of them, and messages from
queues and flow keys at most three quarters.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from .messages import Delivery

HANGS_AFTER_SECONDS = 1.0  # a slower delivery counts as hanging


@dataclass(frozen=True)
class Room:
    """The number of deliveries that may still start."""

    total: int
    lanes: int  # of these, through queues and flow keys
    full: frozenset[str]  # hosts that get no delivery


@dataclass(frozen=True)
class _Started:
    host: str
    in_lane: bool
    since: float


class InFlight:
    """Deliveries in flight, by the primary keys of their messages."""

    def __init__(
        self, workers: int, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._workers = workers
        self._seconds = seconds
        self._in_flight: dict[int, _Started] = {}

    @property
    def keys(self) -> list[int]:
        return list(self._in_flight)

    def begin(self, deliveries: Iterable[Delivery]) -> None:
        now = self._seconds()
        for one in deliveries:
            host = urlsplit(one.url).hostname or ""
            self._in_flight[one.pk] = _Started(host, bool(one.lanes), now)

    def end(self, keys: Iterable[int]) -> None:
        for key in keys:
            self._in_flight.pop(key, None)

    def room(self, besides: Collection[int]) -> Room:
        """Return the room left if the deliveries in `besides` have ended."""
        active = [
            f for key, f in self._in_flight.items() if key not in besides
        ]
        most = self._workers // 2
        full = self._hanging(active, max(1, most))
        excess = sum(count - most for count in full.values())
        in_lanes = sum(one.in_lane for one in active)
        total = min(
            self._workers - len(active) + excess,
            2 * self._workers - len(active),
        )
        for_lanes = max(1, self._workers * 3 // 4)
        return Room(
            max(0, total),
            max(0, min(total, for_lanes - in_lanes)),
            frozenset(full),
        )

    def _hanging(self, active: list[_Started], most: int) -> dict[str, int]:
        """Return hosts with at least `most` hanging deliveries."""
        late = self._seconds() - HANGS_AFTER_SECONDS
        hanging = Counter(one.host for one in active if one.since <= late)
        return {host: n for host, n in hanging.items() if n >= most}
