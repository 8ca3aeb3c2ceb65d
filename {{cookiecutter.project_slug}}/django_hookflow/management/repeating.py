"""Commands that cron starts, or that go on by themselves with --every."""

from __future__ import annotations

import logging
import signal
from abc import abstractmethod
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from datetime import timedelta
from queue import Empty
from queue import SimpleQueue
from typing import Any

from django.core.management.base import BaseCommand
from django.core.management.base import CommandParser
from django.db import Error
from django.db import connections

from django_hookflow.operations import maintenance
from django_hookflow.operations.maintenance import USUALLY

logger = logging.getLogger("django_hookflow.maintenance")

LONGEST = 31_536_000  # seconds in a year

# What a signal handler may put into whatever the program was doing.
Stops = SimpleQueue[int]


class RepeatingCommand(BaseCommand):
    """Works once, or again and again until SIGTERM or Ctrl-C."""

    task: str  # of maintenance

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every", type=_seconds, metavar="SECONDS",
            help="go on, with so many seconds between, until SIGTERM",
        )  # fmt: skip

    def handle(self, *args: Any, every: float | None, **options: Any) -> None:
        self.prepare(**options)
        if every is None:
            with maintenance.watched(self.task, USUALLY[self.task]):
                self.work(loops=False)
            return
        with stop_signals() as stops:
            self.say(f"Again every {every:g} seconds until SIGTERM.")
            while not _stopped(stops, 0 if self.try_to_work(every) else every):
                pass
        self.say("Stopped.")

    @abstractmethod
    def prepare(self, **options: Any) -> None:
        """Look at the options; CommandError if they make no sense."""

    @abstractmethod
    def work(self, *, loops: bool) -> bool:
        """Do it once; whether there is more that should be done at once."""

    def try_to_work(self, every: float) -> bool:
        """Work on connections of its own; a database may be away for now."""
        try:
            with maintenance.watched(self.task, timedelta(seconds=every)):
                return self.work(loops=True)
        except Error as error:
            logger.warning(
                "The database cannot be used, next try in %g s: %s",
                every,
                str(error).strip(),
            )
            return False
        finally:
            # None is kept while we wait: it might break, and it costs.
            connections.close_all()

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


@contextmanager
def stop_signals() -> Iterator[Stops]:
    """Where SIGTERM and SIGINT arrive; the second of a kind acts as ever."""
    stops: Stops = SimpleQueue()

    def stop(number: int, _: object) -> None:
        stops.put(number)
        signal.signal(number, before[number])

    numbers = (signal.SIGINT, signal.SIGTERM)
    before: dict[int, Any] = {n: signal.getsignal(n) for n in numbers}
    for number in before:
        signal.signal(number, stop)
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopped(stops: Stops, seconds: float) -> bool:
    """Wait so long for a signal; whether one has come."""
    try:
        stops.get(timeout=seconds)
    except Empty:
        return False
    return True


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < (seconds := float(text)) <= LONGEST:
            return seconds
    raise ArgumentTypeError(f"{text!r} is not 1 to {LONGEST} seconds")
