"""`manage.py hookflow_schedule`: let QStash start sweeper and cleanup.

For hosts that have no cron.
"""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.core.management.base import CommandError
from django.core.management.base import CommandParser

from django_hookflow.addresses import problem_of
from django_hookflow.conf import conf
from django_hookflow.exceptions import TransportError
from django_hookflow.operations.maintenance import CLEANUP
from django_hookflow.operations.maintenance import SWEEP
from django_hookflow.transports import schedules
from django_hookflow.transports.schedules import QStashAwayError
from django_hookflow.transports.schedules import Schedule

SWEEP_CRON = "* * * * *"
CLEANUP_CRON = "17 3 * * *"
PAUSE = 0.2  # seconds between two tries to reach QStash

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Command(BaseCommand):
    help = (
        "Registers two schedules with QStash: it then posts to this site "
        "when it is time to sweep and to clean up. Run it again to change "
        "them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--sweep-cron", default=SWEEP_CRON, metavar="CRON",
            help="when to sweep, in UTC (every minute)",
        )  # fmt: skip
        parser.add_argument(
            "--cleanup-cron", default=CLEANUP_CRON, metavar="CRON",
            help="when to clean up, in UTC (3:17 every day)",
        )  # fmt: skip
        parser.add_argument(
            "--wait", type=float, default=0, metavar="SECONDS",
            help="wait so long for a QStash that is starting",
        )  # fmt: skip
        parser.add_argument(
            "--dry-run", action="store_true", help="print what would be done"
        )
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument(
            "--list", action="store_true", help="show what is registered"
        )
        instead.add_argument(
            "--remove", action="store_true", help="remove both schedules"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = _wanted(**options)
        self.dry_run: bool = options["dry_run"]
        try:
            if options["wait"]:
                _wait(options["wait"])
            if options["list"]:
                self.show()
            elif options["remove"]:
                self.remove({one.schedule_id for one in wanted})
            else:
                self.register(wanted)
        except TransportError as error:
            raise CommandError(str(error)) from error
        if self.dry_run and not options["list"]:
            self.stdout.write(
                "Nothing was changed. Run again without --dry-run."
            )

    def show(self) -> None:
        known = schedules.registered()
        for one in known:
            paused = ", paused" if one.paused else ""
            self.stdout.write(
                f'{one.schedule_id}: "{one.cron}" {one.url}{paused}'
            )
        if not known:
            self.stdout.write("No schedule is registered.")

    def register(self, wanted: list[Schedule]) -> None:
        for one in wanted:
            if not self.dry_run:
                schedules.register(one)
            done = "Would register" if self.dry_run else "Registered"
            self.stdout.write(
                f'{done} {one.schedule_id}: "{one.cron}" {one.url}'
            )

    def remove(self, ours: set[str]) -> None:
        known = [one.schedule_id for one in schedules.registered()]
        there = [name for name in known if name in ours]
        for name in there:
            if not self.dry_run:
                schedules.remove(name)
            done = "Would remove" if self.dry_run else "Removed"
            self.stdout.write(f"{done} {name}.")
        if not there:
            self.stdout.write("No schedule of this site is registered.")


def _wanted(*, sweep_cron: str, cleanup_cron: str, **_: Any) -> list[Schedule]:
    """Return both schedules; CommandError if the site cannot be called."""
    if problem_of(conf.DJANGO_HOOKFLOW_DOMAIN):
        raise CommandError(
            f"DJANGO_HOOKFLOW_DOMAIN is {conf.DJANGO_HOOKFLOW_DOMAIN!r}, so "
            "QStash has no address to call. Set it to your public URL, such "
            'as "https://shop.example.com".'
        )
    return [
        Schedule(SWEEP, sweep_cron, _order(sweep_cron)),
        Schedule(CLEANUP, cleanup_cron, _order(cleanup_cron)),
    ]


def _wait(seconds: float) -> None:
    """Wait until QStash answers; QStashAwayError when it does not."""
    until = time.monotonic() + seconds
    while True:
        try:
            schedules.registered()
        except QStashAwayError:
            if time.monotonic() >= until:
                raise
            time.sleep(PAUSE)
        else:
            return


def interval_of(cron: str) -> timedelta:
    """Return about how often that is, for tools that watch the task."""
    fields = cron.split()
    minute, hour = fields[-5:-3] if len(fields) > 4 else ("0", "0")
    for field, unit in ((minute, MINUTE), (hour, HOUR)):
        if step := re.fullmatch(r"\*(?:/(\d+))?", field):
            return int(step[1] or 1) * unit
    return DAY


def _order(cron: str) -> dict[str, Any]:
    return {"every": interval_of(cron).total_seconds()}
