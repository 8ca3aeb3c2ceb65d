"""The server's clock: Unix milliseconds, possibly faster than the world's.

Everything that waits (delays, retries, schedules, windows) asks this clock.
Only signatures use the world's time, since receivers check them against it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

SECOND = 1000  # in milliseconds, the unit of every time in this app
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    def now(self) -> int:
        """Unix time in milliseconds."""

    def seconds_until(self, moment: int) -> float:
        """Return the seconds of the real world until `moment`, at least 0."""

    def on_jump(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever the time is moved by hand."""


class SystemClock:
    """The real time, or `scale` times as fast since the clock was made.

    It follows the wall clock forwards (a laptop that slept has missed its
    timers, so they are due) but is never slower than the monotonic clock:
    when the wall clock is set back, messages do not wait for it.
    """

    def __init__(
        self,
        scale: float = 1.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scale = scale
        self._wall, self._monotonic = wall, monotonic
        self._wall_start, self._monotonic_start = wall(), monotonic()

    def now(self) -> int:
        elapsed = max(
            self._wall() - self._wall_start,
            self._monotonic() - self._monotonic_start,
        )
        return int((self._wall_start + elapsed * self.scale) * SECOND)

    def seconds_until(self, moment: int) -> float:
        return max(0.0, (moment - self.now()) / SECOND / self.scale)

    def on_jump(self, wake: Callable[[], None]) -> None:
        """Do nothing: real time is never moved by hand."""


class ManualClock:
    """A clock that stands still until it is advanced; for tests."""

    def __init__(self, start: int) -> None:
        self._now = start
        self._lock = threading.Lock()
        self._wakes: list[Callable[[], None]] = []

    def now(self) -> int:
        return self._now

    def seconds_until(self, moment: int) -> float:
        return 0.0 if moment <= self._now else 3600.0

    def on_jump(self, wake: Callable[[], None]) -> None:
        self._wakes.append(wake)

    def advance(self, seconds: float) -> None:
        """Move the time and wake all waiters."""
        with self._lock:
            self._now += int(seconds * SECOND)
        for wake in self._wakes:
            wake()
