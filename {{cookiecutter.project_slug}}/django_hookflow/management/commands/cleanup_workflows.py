"""`manage.py cleanup_workflows`: delete runs that ended long ago."""

from __future__ import annotations

from datetime import datetime
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.core.management.base import CommandParser
from django.db.models import QuerySet

from django_hookflow import clock
from django_hookflow.conf import conf
from django_hookflow.management.repeating import RepeatingCommand
from django_hookflow.management.terminal import overwrite
from django_hookflow.operations import maintenance
from django_hookflow.operations.maintenance import CLEANUP
from django_hookflow.operations.maintenance import OLDEST
from django_hookflow.operations.maintenance import Expired


class Command(RepeatingCommand):
    task = CLEANUP
    help = (
        "Deletes runs, events and dead letters that ended long ago. "
        "Run it every day, or once with --every 86400."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--days-old", type=int, default=conf.DJANGO_HOOKFLOW_KEEP_DAYS,
            help="days since the run ended (DJANGO_HOOKFLOW_KEEP_DAYS)",
        )  # fmt: skip
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="print what would be deleted",
        )
        only = parser.add_mutually_exclusive_group()
        only.add_argument("--dlq-only", action="store_true")
        only.add_argument("--workflows-only", action="store_true")

    def prepare(self, **options: Any) -> None:
        if not 0 <= options["days_old"] <= OLDEST:
            raise CommandError(
                f"Invalid --days-old {options['days_old']}, expected 0 to "
                f"{OLDEST}."
            )
        self.age = timedelta(days=options["days_old"])
        self.dry_run: bool = options["dry_run"]
        self.wants_runs = not options["dlq_only"]
        self.wants_letters = not options["workflows_only"]

    def work(self, *, loops: bool) -> bool:
        before = clock.now() - self.age
        expired = maintenance.expired(before)
        if self.wants_runs:
            self.clean_runs(expired, before)
        if self.wants_letters:
            self.clean_letters(expired)
        if self.dry_run:
            self.say(
                "Nothing was deleted. Run again without --dry-run to delete."
            )
        return False

    def clean_runs(self, expired: Expired, before: datetime) -> None:
        counts = expired.runs_by_status()
        detail = ", ".join(f"{n:,} {status}" for status, n in counts.items())
        self.delete(
            expired.runs,
            sum(counts.values()),
            f"runs finished before {before:%Y-%m-%d %H:%M} UTC",
            f" ({detail})" if detail else "",
        )
        self.delete(
            expired.events,
            expired.events.count(),
            "events that no run waited for",
        )

    def clean_letters(self, expired: Expired) -> None:
        self.delete(
            expired.letters,
            expired.letters.count(),
            "dead letters already replayed",
        )
        if kept := expired.kept_letters.count():
            self.say(f"Kept {kept:,} dead letters that are not replayed.")

    def delete(
        self, rows: QuerySet[Any], count: int, what: str, detail: str = ""
    ) -> None:
        """Delete rows, or print how many there are."""
        if self.dry_run:
            self.say(f"Would delete {count:,} {what}{detail}.")
            return
        total = 0
        for deleted in maintenance.delete(rows):
            total += deleted
            overwrite(self.stdout, f"{total:,} of {count:,} {what} …")
        overwrite(self.stdout, "")
        self.say(f"Deleted {total:,} {what}{detail}.")
