"""Workers of which one runs at a time, chosen by a scheduler.

Each is a thread with a database connection of its own. It stops at every
boundary, where the scheduler lets it continue, pause while others work, or
die: then its transaction is rolled back, and no statement or message of it
follows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from typing import Protocol

from django.db import connection

from django_hookflow import stopping

# What a dying connection does by itself, and what begins a transaction:
# neither is a place to stop.
BARE = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA")


class ProcessDied(BaseException):
    """The worker has died and does nothing any more."""


stopping.let_pass(ProcessDied)


class Scheduler(Protocol):
    # True makes statements boundaries. Then the engine uses Django's cursor
    # for all of them; in production its own cursor uses the driver.
    sees_statements: bool

    def at_boundary(self, worker: Worker, where: str, pause: bool) -> None:
        """Return to go on; raise ProcessDied; or call worker.pause()."""

    def rewrite(self, sql: str, params: Any) -> tuple[str, Any]:
        """Return the statement that the database gets in place of this one."""


class Worker:
    def __init__(self, name: str) -> None:
        self.name = name
        self.scheduler: Scheduler | None = None
        self.is_paused = False
        self.is_dying = False
        self.error: BaseException | None = None
        self._job: Callable[[], None] | None = None
        self._go = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._quiet = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    # Called by the scheduler.

    def start(self, scheduler: Scheduler, job: Callable[[], None]) -> None:
        """Run `job` until it ends, dies or pauses."""
        self.scheduler, self._job = scheduler, job
        self.is_dying = False
        self._switch()

    def resume(self) -> None:
        self.is_paused = False
        self._switch()

    def kill(self) -> None:
        """Let a paused worker die where it is."""
        self.is_dying = True
        self.resume()

    def dismiss(self) -> None:
        """End the thread; its connection is closed."""
        self._job = None
        self._go.release()
        self._thread.join()

    def _switch(self) -> None:
        self._go.release()
        self._back.acquire()
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    # Called in its thread.

    def boundary(self, where: str, pause: bool = True) -> None:
        if self._quiet or self.scheduler is None:
            return
        if self.is_dying:
            raise ProcessDied
        self.scheduler.at_boundary(self, where, pause)

    def pause(self) -> None:
        self.is_paused = True
        self._back.release()
        self._go.acquire()
        if self.is_dying:
            raise ProcessDied

    def die(self) -> None:
        self.is_dying = True
        raise ProcessDied

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Let statements of the test itself pass."""
        self._quiet, before = True, self._quiet
        try:
            yield
        finally:
            self._quiet = before

    def _work(self) -> None:
        _here.worker = self
        while True:
            self._go.acquire()
            if self._job is None:
                break
            self._look_at_statements()
            try:
                self._job()
            except ProcessDied:
                connection.close()
            except BaseException as error:
                self.error = error
                connection.close()
            finally:
                self.scheduler = None
                self._back.release()
        connection.close()

    def _look_at_statements(self) -> None:
        sees = self.scheduler is not None and self.scheduler.sees_statements
        connection.execute_wrappers[:] = [self._execute] if sees else []

    def _execute(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        if self._quiet or self.scheduler is None or sql.startswith(BARE):
            return execute(sql, params, many, context)
        # A worker asleep in a transaction would keep its locks.
        may_pause = not connection.in_atomic_block
        self.boundary(f"before {sql[:40]}", may_pause)
        sql, params = self.scheduler.rewrite(sql, params)
        result = execute(sql, params, many, context)
        # Nor may it sleep with rows that are not fetched yet.
        self.boundary(f"after {sql[:40]}", pause=False)
        return result


def here() -> Worker | None:
    """Return the worker of this thread; None in the scheduler's."""
    return getattr(_here, "worker", None)


_here = threading.local()
