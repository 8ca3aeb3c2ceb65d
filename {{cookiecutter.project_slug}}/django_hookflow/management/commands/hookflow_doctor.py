"""`manage.py hookflow_doctor`: say why runs do not move."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.core.management.base import CommandError
from django.core.management.base import CommandParser

from django_hookflow.exceptions import RunNotFound
from django_hookflow.inspection.runs import explain
from django_hookflow.models import WorkflowRun


class Command(BaseCommand):
    help = "Says in a sentence why each run does not move, and what moves it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run_id", nargs="+")

    def handle(self, *args: Any, **options: Any) -> None:
        for run_id in options["run_id"]:
            run = WorkflowRun.objects.filter(run_id=run_id).first()
            if run is None:
                raise CommandError(str(RunNotFound(run_id)))
            self.stdout.write(f"{run_id}: {explain(run)}")
