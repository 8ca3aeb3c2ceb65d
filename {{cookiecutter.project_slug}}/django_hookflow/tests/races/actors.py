"""Threads with a connection each, which stop where a test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connection

from django_hookflow.transports.memory import Message
from django_hookflow.transports.memory import post

DEADLINE = 60  # seconds, for what should take milliseconds


class Actor:
    """Does a job in a thread of its own.

    `stop_after`: it stops after its first statement with this text, until
    `go`. `rewrite`: changes its statements.
    """

    def __init__(
        self,
        job: Callable[[], Any],
        *,
        stop_after: str = "",
        rewrite: Callable[[str], str] | None = None,
    ) -> None:
        self.pid = 0  # of its process in the database
        self._job = job
        self._stop_after = stop_after
        self._rewrite = rewrite
        self._stands = threading.Event()
        self._may_go = threading.Event()
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._act, daemon=True)
        self._thread.start()

    def reach(self) -> Actor:
        """Wait until it has stopped at its statement."""
        assert self._stands.wait(DEADLINE), f"never came: {self._error!r}"
        return self

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def go(self) -> Actor:
        self._may_go.set()
        return self

    def result(self) -> Any:
        """Return the result of its job, or raise its error."""
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "it hangs"
        if self._error is not None:
            raise self._error
        return self._result

    def wait_until_blocked(self) -> Actor:
        """Wait until the database makes it wait for a lock of another."""
        wait_until(self._is_blocked)
        return self

    def terminate(self) -> Actor:
        """Cut its connection, as a failover does."""
        select("SELECT pg_terminate_backend(%s, 10000)", self.pid)
        return self

    def _is_blocked(self) -> bool:
        assert self._thread.is_alive(), f"went through: {self._result!r}"
        return self.pid != 0 and bool(
            select(
                "SELECT 1 FROM pg_stat_activity "
                "WHERE pid = %s AND wait_event_type = 'Lock'",
                self.pid,
            )
        )

    def _stand(self) -> None:
        self._stands.set()
        assert self._may_go.wait(DEADLINE), "it was not released"

    def _act(self) -> None:
        _here.actor = self
        try:
            self.pid = select("SELECT pg_backend_pid()")[0][0]
            if self._stop_after or self._rewrite:
                connection.execute_wrappers.append(self._execute)
            self._result = self._job()
        except BaseException as error:
            self._error = error
        finally:
            connection.close()

    def _execute(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        if self._rewrite is not None:
            sql = self._rewrite(sql)
        result = execute(sql, params, many, context)
        if self._stop_after and self._stop_after in sql:
            self._stop_after = ""
            self._stand()
        return result


def stand() -> None:
    """Stop an actor in its job, until `go`."""
    actor: Actor = _here.actor
    actor._stand()


def deliver(message: Message) -> tuple[int, str]:
    """Post a message; return the status and the text of the answer."""
    response = post(message.delivery, message.retried)
    return response.status_code, json.loads(response.getvalue())["status"]


def select(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def wait_until(fact: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not fact():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


_here = threading.local()
