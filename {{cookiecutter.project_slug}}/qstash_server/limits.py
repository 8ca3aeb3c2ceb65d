"""The limit of requests in a second, which publishing does not have."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Allowance:
    """The remaining requests of an account in the current second."""

    limit: int
    remaining: int  # below 0: refused
    reset: int  # Unix seconds

    @property
    def exceeded(self) -> bool:
        return self.remaining < 0

    def headers(self) -> Headers:
        return (
            ("Burst-RateLimit-Limit", str(self.limit)),
            ("Burst-RateLimit-Remaining", str(max(0, self.remaining))),
            ("Burst-RateLimit-Reset", str(self.reset)),
        )


class BurstLimit:
    """Counts requests by account and second of the real time."""

    def __init__(
        self, limit: int, seconds: Callable[[], float] = time.time
    ) -> None:
        self._limit = limit
        self._seconds = seconds
        self._lock = threading.Lock()
        self._second = 0
        self._counts: dict[str, int] = {}

    def take(self, account: str) -> Allowance:
        """Count one request."""
        with self._lock:
            second = int(self._seconds())
            if second != self._second:
                self._second, self._counts = second, {}
            used = self._counts.get(account, 0) + 1
            self._counts[account] = used
        return Allowance(self._limit, self._limit - used, second + 1)
