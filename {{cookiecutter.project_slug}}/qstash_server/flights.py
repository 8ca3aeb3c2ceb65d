"""What is on its way, and how much room that leaves.

A destination that hangs keeps its deliveries for up to two hours. They must
not keep all workers, so those of one host count for half of them at most,
and what comes through queues and flow keys gets three quarters at most.
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

PATIENCE = 1.0  # real seconds after which a delivery hangs


@dataclass(frozen=True)
class Room:
    """How many more deliveries may begin."""

    total: int
    lanes: int  # of them through queues and flow keys
    full: frozenset[str]  # hosts that get none


@dataclass(frozen=True)
class _Flight:
    host: str
    in_lane: bool
    since: float


class Flights:
    """Counts deliveries by the keys of their messages."""

    def __init__(
        self, workers: int, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._workers = workers
        self._seconds = seconds
        self._flights: dict[int, _Flight] = {}

    @property
    def keys(self) -> list[int]:
        return list(self._flights)

    def begin(self, deliveries: Iterable[Delivery]) -> None:
        now = self._seconds()
        for one in deliveries:
            host = urlsplit(one.url).hostname or ""
            self._flights[one.pk] = _Flight(host, bool(one.lanes), now)

    def end(self, keys: Iterable[int]) -> None:
        for key in keys:
            self._flights.pop(key, None)

    def room(self, besides: Collection[int]) -> Room:
        """What is free, if the flights in `besides` have ended."""
        flying = [f for key, f in self._flights.items() if key not in besides]
        most = self._workers // 2
        full = self._hanging(flying, max(1, most))
        excess = sum(count - most for count in full.values())
        in_lanes = sum(flight.in_lane for flight in flying)
        total = min(
            self._workers - len(flying) + excess,
            2 * self._workers - len(flying),
        )
        for_lanes = max(1, self._workers * 3 // 4)
        return Room(
            max(0, total),
            max(0, min(total, for_lanes - in_lanes)),
            frozenset(full),
        )

    def _hanging(self, flying: list[_Flight], most: int) -> dict[str, int]:
        """Hosts that hang with so many deliveries or more."""
        late = self._seconds() - PATIENCE
        hanging = Counter(one.host for one in flying if one.since <= late)
        return {host: n for host, n in hanging.items() if n >= most}
