"""The main loop: each beat records ended attempts and claims due messages.

One thread does both in one transaction, so a burst costs few commits: during
a commit, deliveries continue and are recorded by the next beat. The thread
sleeps until a message is published, an attempt ends, or a message is due.
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
from .concurrency import HANGS_AFTER_SECONDS
from .concurrency import InFlight
from .concurrency import Room
from .conf import Config
from .ids import new_id
from .messages import Attempt
from .messages import Delivery
from .models import NEVER
from .store import attempts as store
from .store import clock_changes
from .store import purge
from .store import schedules
from .store.attempts import Claims
from .store.next_due import NextDue
from .store.next_due import earliest
from .store.writing import is_rolled_back
from .store.writing import writing

PURGE_EVERY = MINUTE
BATCH_WAIT_SECONDS = 0.005  # an ended attempt waits for others
MIN_INTERVAL_SECONDS = 0.004  # between the starts of two beats
MAX_SLEEP_SECONDS = 3600.0  # between two looks at the clock
RETRY_AFTER_SECONDS = 1.0  # after a failed beat

logger = logging.getLogger(__name__)


class Dispatcher:
    """Pass due deliveries to `launch` and record their attempts."""

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
        self._in_flight = InFlight(workers)
        self._owner = new_id("srv")
        self._ended: list[Attempt] = []
        self.attempts = 0  # ended and recorded
        self._in_doubt = True  # abandoned claims may exist
        self._to_wake: set[int] = set()  # lanes that received messages
        self._lanes_first = False
        self._is_full = False  # room only after a wait
        self._schedule_at = 0
        self._purge_at = 0
        self._last_beat_at = 0.0
        self._changed = threading.Condition()
        self._woken = False
        self._stopping = False
        self._thread = threading.Thread(
            target=self._run, name="qstash-dispatcher", daemon=True
        )

    def start(self) -> None:
        """Start the thread; its first beat releases abandoned claims."""
        self._clock.on_jump(self.wake)
        self._thread.start()

    def wake(self) -> None:
        """Run a beat soon: something was published, resumed or moved."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def ended(self, attempt: Attempt) -> None:
        """Accept an ended attempt; the next beat records it."""
        with self._changed:
            self._ended.append(attempt)
            self._changed.notify()

    def stop(self) -> None:
        """Record ended attempts, release the rest, end the thread."""
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
        """Run a beat; after any error, wait a little and continue.

        Nothing is lost: ended attempts stay in memory until they are
        recorded, and the next process releases the claims of a dead one.
        Only this thread delivers, so no error may end it.
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
            self._changed.wait_for(self._is_stopping, RETRY_AFTER_SECONDS)

    def _beat(self) -> int:
        """Run one beat; return when the next one is due.

        One transaction, except for schedules and the purge: these lock other
        rows, and a beat must not wait for them while it holds messages.
        """
        now = self._clock.now()
        if self._in_doubt:
            clock_changes.apply(now, self._config)
        self._produce(now)
        self._purge(now)
        ended = tuple(self._ended)
        room = self._in_flight.room({one.delivery.pk for one in ended})
        with writing():
            self._recover()
            store.record(ended, self._owner, now, wake=self._to_wake)
            due = self._earliest(room)
            claims = self._claim(now, room, due)
        self._note(ended, claims)
        self._is_full = len(claims.deliveries) >= room.total
        if claims.deliveries:
            self._launch(claims.deliveries)
        return self._next_moment(now, room, due)

    def _note(self, ended: Sequence[Attempt], claims: Claims) -> None:
        """Update our state after the commit."""
        self._in_doubt = False
        self._to_wake = claims.to_wake
        del self._ended[: len(ended)]
        self.attempts += len(ended)
        self._in_flight.end(attempt.delivery.pk for attempt in ended)
        self._in_flight.begin(claims.deliveries)

    def _recover(self) -> None:
        """Release abandoned claims.

        They are left by a killed process, or by a transaction whose COMMIT
        raised an error although it succeeded.
        """
        if self._in_doubt:
            store.release(besides=self._in_flight.keys)

    def _produce(self, now: int) -> None:
        if now >= self._schedule_at:
            schedules.produce(now, self._config)

    def _purge(self, now: int) -> None:
        wait = self._purge_at - now  # longer: the clock has gone back
        if not 0 < wait <= PURGE_EVERY:
            more = purge.old(now, self._config)
            self._purge_at = now if more else now + PURGE_EVERY

    def _claim(self, now: int, room: Room, due: NextDue) -> Claims:
        """Claim messages to deliver now."""
        if due.first > now or not room.total:
            return Claims()
        self._lanes_first = not self._lanes_first
        shares = store.shares(room, now, due, lanes_first=self._lanes_first)
        return store.claim(self._owner, now, shares)

    def _next_moment(self, now: int, room: Room, before: NextDue) -> int:
        """Return when to run the next beat, unless woken before.

        Called after the claimed messages are sent, so they need not wait.
        """
        if self._to_wake:
            return 0
        if self._is_full:
            return NEVER  # the next attempt that ends wakes us
        return (self._earliest(room) if before.first <= now else before).first

    def _earliest(self, room: Room) -> NextDue:
        """Return due times; lanes without room are woken by ended attempts."""
        due = earliest(room.full)
        self._schedule_at = due.schedule
        return due if room.lanes else replace(due, lane=NEVER)

    def _last_beat(self) -> int:
        with writing():
            store.record(self._ended, self._owner, self._clock.now())
            store.release(besides=())
        return 0

    def _wait(self, moment: int) -> None:
        """Sleep until `moment` or until woken.

        After a quiet time a message is claimed at once. Under load, beats
        keep a minimum interval, and ended attempts are recorded together:
        many small transactions would cost more than the messages.
        """
        with self._changed:
            if not self._is_woken() and not self._ended:
                seconds = self._clock.seconds_until(moment)
                longest = (
                    HANGS_AFTER_SECONDS if self._is_full else MAX_SLEEP_SECONDS
                )
                self._changed.wait(min(seconds, longest))
            self._changed.wait_for(self._is_enough, BATCH_WAIT_SECONDS)
            distance = (
                self._last_beat_at + MIN_INTERVAL_SECONDS - time.monotonic()
            )
            self._changed.wait_for(self._is_stopping, max(0.0, distance))
            self._woken = False
        self._last_beat_at = time.monotonic()

    def _is_woken(self) -> bool:
        return self._woken or self._stopping

    def _is_stopping(self) -> bool:
        return self._stopping

    def _is_enough(self) -> bool:
        """Return whether a beat is worth it: not just a few ended attempts."""
        few = 0 < len(self._ended) < self._workers // 2
        return self._is_woken() or not few
