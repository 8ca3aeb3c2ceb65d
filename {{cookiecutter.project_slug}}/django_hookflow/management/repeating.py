"""Commands that cron starts, or that repeat by themselves with --every."""

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

# A queue that a signal handler may use at any moment.
Stops = SimpleQueue[int]


class RepeatingCommand(BaseCommand):
    """Runs once, or with --every repeatedly until SIGTERM or Ctrl-C."""

    task: str  # of maintenance

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every", type=_seconds, metavar="SECONDS",
            help="repeat after so many seconds, until SIGTERM",
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
        """Read the options; CommandError if they make no sense."""

    @abstractmethod
    def work(self, *, loops: bool) -> bool:
        """Do it once; return True if there is more to do at once."""

    def try_to_work(self, every: float) -> bool:
        """Work on new connections; log it when the database cannot be used."""
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
            # While waiting, a connection might break, and costs memory.
            connections.close_all()

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


@contextmanager
def stop_signals() -> Iterator[Stops]:
    """Yield a queue of SIGTERM and SIGINT; a second one acts as usual."""
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
    """Wait so long for a signal; return True if one came."""
    try:
        stops.get(timeout=seconds)
    except Empty:
        return False
    return True


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < (seconds := float(text)) <= LONGEST:
            return seconds
    raise ArgumentTypeError(
        f"Invalid interval {text!r}, expected 1 to {LONGEST} seconds"
    )
