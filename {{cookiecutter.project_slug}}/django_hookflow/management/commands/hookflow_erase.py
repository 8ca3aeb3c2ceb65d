"""`manage.py hookflow_erase`: delete all rows of some runs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.core.management.base import CommandError
from django.core.management.base import CommandParser

from django_hookflow.operations import maintenance


class Command(BaseCommand):
    help = (
        "Deletes runs of any age, with their replays, steps, events and dead "
        "letters: the data of one person, for example."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run_id", nargs="+")
        parser.add_argument(
            "--open", action="store_true",
            help="also runs that have not ended; they stop without notice",
        )  # fmt: skip
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="print what would be deleted",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for run_id in options["run_id"]:
            self.erase(run_id, options["open"], options["dry_run"])
        if options["dry_run"]:
            self.stdout.write(
                "Nothing was deleted. Run again without --dry-run to delete."
            )

    def erase(self, run_id: str, and_open: bool, dry_run: bool) -> None:
        erased = maintenance.erase(run_id, and_open=and_open, dry_run=dry_run)
        if erased.still_open:
            names = ", ".join(erased.still_open)
            raise CommandError(
                f"{names} of {run_id!r} has not ended, so nothing of it was "
                "deleted. Wait for its end, or add --open."
            )
        if not erased.runs and not erased.letters:
            raise CommandError(
                f"Nothing is kept of a run {run_id!r}. Is the id right?"
            )
        done = "Would delete" if dry_run else "Deleted"
        self.stdout.write(
            f"{done} {erased.runs:,} runs, {erased.steps:,} steps, "
            f"{erased.events:,} events and {erased.letters:,} dead letters "
            f"of {run_id!r}."
        )
