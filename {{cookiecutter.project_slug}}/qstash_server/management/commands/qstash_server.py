"""Run the embedded QStash server alone."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand
from django.core.management.base import CommandError
from django.core.management.base import CommandParser
from django.db import DatabaseError
from django.db import connections

from ...clock import SystemClock
from ...errors import ConfigurationError
from ...server import WORKERS
from ...server import Server
from ...store.next_due import overdue

DEFAULT_PORT = 8080
MAX_PORT = 65535
WORTH_A_LINE = 100  # attempts in a second, or due; else it prints nothing


def default_workers(variables: Mapping[str, str]) -> int:
    """Return half the number of the site's threads, as in gunicorn.conf.py.

    A step may call the site it runs in. With a delivery in each thread, no
    thread would be left to answer, and all would wait for each other.
    """
    try:
        processes = int(variables.get("WEB_CONCURRENCY") or 2)
        threads = int(variables.get("WEB_THREADS") or 8)
    except ValueError:
        return WORKERS
    return max(1, min(WORKERS, processes * threads // 2))


class Command(BaseCommand):
    help = "Serve the QStash v2 API and deliver messages until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--host",
            default="127.0.0.1",
            help="address to listen on (default: this machine only)",
        )
        parser.add_argument(
            "--port",
            type=int,
            default=default_port(),
            help="port (default: %(default)s)",
        )
        parser.add_argument(
            "--workers",
            type=int,
            default=default_workers(os.environ),
            help="deliveries at the same time (default: %(default)s, half of "
            "the site's WEB_CONCURRENCY times WEB_THREADS)",
        )
        parser.add_argument(
            "--time-scale",
            type=float,
            default=1.0,
            help="how much faster delays pass: 86400 makes a day a second",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        server = self._started(**options)
        self.stdout.write(
            f"The embedded QStash server listens at {server.url} with"
            f" {options['workers']} workers."
        )
        self._say("Press Ctrl-C to stop.")
        try:
            with stop_signal() as stopped:
                self._report(server, stopped)
        finally:
            server.stop()
        self.stdout.write("Stopped; what is waiting stays in the database.")

    def _report(self, server: Server, stopped: threading.Event) -> None:
        """Print each second how much of a backlog is left."""
        before, draining = 0, False
        while not stopped.wait(1.0):
            attempts = server.attempts
            done, before = attempts - before, attempts
            due = _due(server) if done or draining else 0
            if max(done, due or 0) >= WORTH_A_LINE:
                draining = True
                self._say(
                    f"{done:,} attempts in a second,"
                    f" {due or 0:,} more messages are due."
                )
            elif draining and due == 0:
                draining = False
                self._say("The backlog has been delivered.")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _started(
        self,
        *,
        host: str,
        port: int,
        workers: int,
        time_scale: float,
        **_: Any,
    ) -> Server:
        if workers < 1 or not 0 < time_scale < math.inf:
            raise CommandError("--workers and --time-scale must be positive.")
        if not 0 <= port <= MAX_PORT:
            raise CommandError(f"--port must be between 0 and {MAX_PORT}.")
        try:
            return Server(
                host=host,
                port=port,
                clock=SystemClock(time_scale),
                workers=workers,
            ).start()
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(
                f"Cannot listen on {host}:{port}: {error.strerror}. Choose"
                " another --port, or stop what listens there."
            ) from error
        except DatabaseError as error:
            raise CommandError(
                f"The database has no tables for the server: {error}. Run"
                ' "manage.py migrate" first.'
            ) from error


def _due(server: Server) -> int | None:
    """Return how many messages are due; None if the database fails.

    The server itself continues without it, and so must its report.
    """
    try:
        return overdue(server.clock.now())
    except DatabaseError:
        connections.close_all()
        return None


def default_port() -> int:
    """Return the port of QSTASH_URL, or 8080 if that uses TLS."""
    parts = urlsplit(getattr(settings, "QSTASH_URL", ""))
    if parts.scheme == "http" and parts.port:
        return parts.port
    return DEFAULT_PORT


@contextlib.contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set; restore their handlers."""
    stopped = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
