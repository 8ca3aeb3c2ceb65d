"""`manage.py hookflow_sweep`: send the messages of overdue runs again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.core.management.base import CommandParser

from django_hookflow.management.repeating import RepeatingCommand
from django_hookflow.operations import maintenance
from django_hookflow.operations.maintenance import SWEEP
from django_hookflow.operations.maintenance import Swept

ALL = 2**31


class Command(RepeatingCommand):
    task = SWEEP
    help = (
        "Sends the message of runs again whose message was lost or whose "
        "worker died. Run it every minute, or once with --every 60."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        how_many = parser.add_mutually_exclusive_group()
        how_many.add_argument(
            "--limit", type=int, default=maintenance.SWEEP_LIMIT,
            help="runs at the most (1000)",
        )  # fmt: skip
        how_many.add_argument(
            "--now", action="store_true",
            help="all overdue runs, also those that were sent for before",
        )  # fmt: skip
        how_many.add_argument(
            "--waiting", action="store_true",
            help="the same, and replay every run that waits for an event "
            "without a time limit: run it after a deploy",
        )  # fmt: skip

    def prepare(self, **options: Any) -> None:
        self.limit: int = options["limit"]
        self.waiting: bool = options["waiting"]
        self.now: bool = options["now"] or self.waiting
        if self.limit < 1:
            raise CommandError(
                f"Invalid --limit {self.limit}, expected 1 or more."
            )
        self.talks = options["verbosity"] > 1

    def work(self, *, loops: bool) -> bool:
        if self.now:
            maintenance.clear_backoff()
        swept = maintenance.sweep_within(ALL if self.now else self.limit)
        if swept.rung or self.talks:
            self.say(_told(swept))
        if not swept.left:
            self.look_again()
            return False
        again = "continuing." if loops else "run it again."
        self.say(f"{swept.left:,} more are overdue: {again}")
        return True

    def look_again(self) -> None:
        """Do it once: later in a loop, DJANGO_HOOKFLOW_LOOK_AGAIN does."""
        if not self.waiting:
            return
        self.waiting = False
        count = maintenance.look_again_at_all()
        runs = "run that waits" if count == 1 else "runs that wait"
        self.say(
            f"Replaying {count:,} {runs} for an event without a time limit."
        )


def _told(swept: Swept) -> str:
    since = timedelta(seconds=int(swept.oldest))
    oldest = f"; the oldest has been due for {since}" if swept.rung else ""
    runs = "run" if swept.rung == 1 else "runs"
    return f"Sent again for {swept.rung:,} overdue {runs}{oldest}."
