"""The heart: in each beat it records what ended and claims what is due.

One thread does both in one transaction, so a burst costs few commits: while
a beat commits, deliveries go on and gather for the next one. It sleeps on a
condition until somebody publishes, an attempt ends, or the next is due.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import replace

from django.db import DatabaseError
from django.db import connections

from .clock import MINUTE
from .clock import Clock
from .conf import Config
from .flights import PATIENCE
from .flights import Flights
from .flights import Room
from .ids import new_id
from .messages import Attempt
from .messages import Delivery
from .models import NEVER
from .store import attempts as store
from .store import future
from .store import purge
from .store import schedules
from .store.attempts import Claims
from .store.moments import Moments
from .store.moments import earliest
from .store.writing import is_rolled_back
from .store.writing import writing

PURGE_EVERY = MINUTE
LINGER = 0.005  # real seconds that an ended attempt waits for others
DISTANCE = 0.004  # real seconds between the beginnings of two beats
LONGEST = 3600.0  # real seconds between two looks at the clock
PAUSE = 1.0  # real seconds until the next beat after one that failed

logger = logging.getLogger(__name__)


class Dispatcher:
    """Hands due deliveries to `launch` and takes their attempts back."""

    def __init__(
        self,
        clock: Clock,
        launch: Callable[[Sequence[Delivery]], None],
        drain: Callable[[], None],
        *,
        config: Config,
        workers: int,
    ) -> None:
        self._clock = clock
        self._config = config
        self._launch = launch
        self._drain = drain
        self._workers = workers
        self._flights = Flights(workers)
        self._owner = new_id("srv")
        self._ended: list[Attempt] = []
        self.attempts = 0  # that have ended and are written down
        self._in_doubt = True  # whether claims may exist that nobody serves
        self._to_wake: set[int] = set()  # lanes that messages went on to
        self._lanes_first = False
        self._is_full = False  # so that only patience makes room
        self._schedule_at = 0
        self._purge_at = 0
        self._last_beat_at = 0.0
        self._changed = threading.Condition()
        self._ringing = False
        self._stopping = False
        self._thread = threading.Thread(
            target=self._run, name="qstash-dispatcher", daemon=True
        )

    def start(self) -> None:
        """Make due what a killed process had claimed, then begin."""
        self._clock.on_jump(self.ring)
        self._thread.start()

    def ring(self) -> None:
        """Look again: something was published, resumed or moved."""
        with self._changed:
            self._ringing = True
            self._changed.notify()

    def ended(self, attempt: Attempt) -> None:
        """Take note of an attempt; the next beat writes it down."""
        with self._changed:
            self._ended.append(attempt)
            self._changed.notify()

    def stop(self) -> None:
        """Write down what has ended, release the rest, end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._wait(self._guarded(self._beat))
            self._drain()
            self._guarded(self._last_beat)
        finally:
            connections.close_all()

    def _guarded(self, beat: Callable[[], int]) -> int:
        """Run a beat; whatever goes wrong, wait a little and go on.

        Nothing is lost: what has ended stays in memory until it is written,
        and a process that dies before leaves its claims to the next one.
        This thread is the only one that delivers, so nothing may end it.
        """
        try:
            return beat()
        except DatabaseError as error:
            if is_rolled_back(error):
                return 0
            logger.warning("The database does not answer: %s", error)
        except Exception:
            logger.exception("A beat of the dispatcher failed")
        self._pause()
        return 0

    def _pause(self) -> None:
        connections.close_all()
        self._in_doubt = True
        with self._changed:
            self._changed.wait_for(self._is_stopping, PAUSE)

    def _beat(self) -> int:
        """The moment at which the next beat is due.

        One transaction, but for schedules and what is too old: these lock
        other things, and a beat must not wait for them with messages held.
        """
        now = self._clock.now()
        if self._in_doubt:
            future.forget(now, self._config)
        self._produce(now)
        self._purge(now)
        ended = tuple(self._ended)
        room = self._flights.room({one.delivery.pk for one in ended})
        with writing():
            self._recover()
            store.record(ended, self._owner, now, wake=self._to_wake)
            moments = self._earliest(room)
            claims = self._claim(now, room, moments)
        self._note(ended, claims)
        self._is_full = len(claims.deliveries) >= room.total
        if claims.deliveries:
            self._launch(claims.deliveries)
        return self._next_moment(now, room, moments)

    def _note(self, ended: Sequence[Attempt], claims: Claims) -> None:
        """Remember what is committed now."""
        self._in_doubt = False
        self._to_wake = claims.to_wake
        del self._ended[: len(ended)]
        self.attempts += len(ended)
        self._flights.end(attempt.delivery.pk for attempt in ended)
        self._flights.begin(claims.deliveries)

    def _recover(self) -> None:
        """Give back claims that nobody serves.

        Those of a killed process, and our own of a transaction that failed
        at its COMMIT and had been committed all the same.
        """
        if self._in_doubt:
            store.release(besides=self._flights.keys)

    def _produce(self, now: int) -> None:
        if now >= self._schedule_at:
            schedules.produce(now, self._config)

    def _purge(self, now: int) -> None:
        wait = self._purge_at - now  # longer: the clock has gone back
        if not 0 < wait <= PURGE_EVERY:
            more = purge.old(now, self._config)
            self._purge_at = now if more else now + PURGE_EVERY

    def _claim(self, now: int, room: Room, moments: Moments) -> Claims:
        """What to deliver now."""
        if moments.first > now or not room.total:
            return Claims()
        self._lanes_first = not self._lanes_first
        shares = store.shares(
            room, now, moments, lanes_first=self._lanes_first
        )
        return store.claim(self._owner, now, shares)

    def _next_moment(self, now: int, room: Room, before: Moments) -> int:
        """When to look again, unless something happens before.

        Asked only when what was claimed is on its way: it need not wait.
        """
        if self._to_wake:
            return 0
        if self._is_full:
            return NEVER  # the next attempt that ends wakes us
        return (self._earliest(room) if before.first <= now else before).first

    def _earliest(self, room: Room) -> Moments:
        """Lanes without room are woken by the attempt that makes some."""
        moments = earliest(room.full)
        self._schedule_at = moments.schedule
        return moments if room.lanes else replace(moments, lane=NEVER)

    def _last_beat(self) -> int:
        with writing():
            store.record(self._ended, self._owner, self._clock.now())
            store.release(besides=())
        return 0

    def _wait(self, moment: int) -> None:
        """Sleep until `moment` or until something happens.

        After a quiet time a message is claimed at once. When much happens,
        beats keep a distance, and what ends waits for what ends soon after
        it: many small transactions would cost more than the messages.
        """
        with self._changed:
            if not self._is_rung() and not self._ended:
                seconds = self._clock.seconds_until(moment)
                longest = PATIENCE if self._is_full else LONGEST
                self._changed.wait(min(seconds, longest))
            self._changed.wait_for(self._is_enough, LINGER)
            distance = self._last_beat_at + DISTANCE - time.monotonic()
            self._changed.wait_for(self._is_stopping, max(0.0, distance))
            self._ringing = False
        self._last_beat_at = time.monotonic()

    def _is_rung(self) -> bool:
        return self._ringing or self._stopping

    def _is_stopping(self) -> bool:
        return self._stopping

    def _is_enough(self) -> bool:
        """Whether there is more to do than to note a few attempts."""
        few = 0 < len(self._ended) < self._workers // 2
        return self._is_rung() or not few
