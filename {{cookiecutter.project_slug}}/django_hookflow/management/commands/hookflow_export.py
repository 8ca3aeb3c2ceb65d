"""`manage.py hookflow_export`: a failed run as a test that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.core.management.base import CommandError
from django.core.management.base import CommandParser

from django_hookflow.exceptions import RunNotFound
from django_hookflow.inspection.export import NotExportable
from django_hookflow.inspection.export import export
from django_hookflow.management.terminal import save
from django_hookflow.models import WorkflowRun


class Command(BaseCommand):
    help = (
        "Prints a failed run as a test of pytest: the data of the run and "
        "the results of its steps. The step that failed is called again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run_id")
        parser.add_argument(
            "--output", metavar="FILE", help="write a new file instead"
        )
        parser.add_argument(
            "--secrets",
            action="store_true",
            help="keep values whose key looks like that of a secret",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        run = WorkflowRun.objects.filter(run_id=options["run_id"]).first()
        try:
            if run is None:
                raise RunNotFound(options["run_id"])
            text = export(run, redact=not options["secrets"])
        except (RunNotFound, NotExportable) as error:
            raise CommandError(str(error)) from error
        if options["output"] is None:
            self.stdout.write(text)
            return
        path = Path(options["output"])
        save(path, text, as_new=True)
        self.stdout.write(f"Wrote {path}. Run it: pytest {path}")
