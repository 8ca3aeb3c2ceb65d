"""The histories of the simulation, with threads that run at the same time.

No seed repeats their order. The same laws must hold.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

from django.db import connection

from django_hookflow.tests.simulation.programs import LEASE
from django_hookflow.tests.simulation.programs import Do
from django_hookflow.tests.simulation.world import World

THREADS = 4
ROUNDS = 25  # in which messages are lost, late or repeated, and leases end


class CrowdedWorld(World):
    is_exact = False
    # When the clock jumps, a signature expires between sender and receiver.
    tried_again = World.tried_again | {401}

    def play(self, look: Callable[[], None]) -> None:
        with self.at_rest(), ThreadPoolExecutor(THREADS) as pool:
            for _ in range(ROUNDS):
                self._round(pool)
                look()
            self._calm_down()
            while self._round(pool):
                look()

    def _round(self, pool: ThreadPoolExecutor) -> bool:
        """Do all present work at the same time; return False without any."""
        work = self._work()
        if not work:
            return self._wait_for_work()
        futures = [pool.submit(self._alone, job) for job in work]
        if self.network.is_hostile and self.choices.chance(30):
            self.now += timedelta(seconds=LEASE + 1)
        for future in futures:
            future.result()
        return True

    def _work(self) -> list[Do]:
        """Return the work: messages twice, the clients, and two sweepers."""
        work: list[Do] = []
        for message in self.network.due():
            self.network.take(message)
            work += [partial(self._deliver, message)] * 2
        work += [partial(self._persist, job) for job in self.jobs]
        self.jobs = []
        overdue = self._overdue_at()
        if overdue is not None and overdue <= self.now:
            work += [self._sweep] * 2
        return work

    def _wait_for_work(self) -> bool:
        times = [t for t in (self.network.next_due(), self._overdue_at()) if t]
        if times:
            self._move_to(max(self.now, min(times)))
        return bool(times)

    def _overtaken(self, run_id: str) -> None:
        # The clock jumped under it, and another took it for dead.
        self.notes.interrupted[run_id] += 1

    def _alone(self, job: Do) -> None:
        """Run in a thread of the pool, on a connection of its own."""
        try:
            job()
        finally:
            connection.close()
