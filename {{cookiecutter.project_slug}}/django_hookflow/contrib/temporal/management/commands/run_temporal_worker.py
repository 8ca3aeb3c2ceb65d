"""`manage.py run_temporal_worker`: serve the runs of this site."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

from django.core.management.base import BaseCommand
from django.core.management.base import CommandError
from django.core.management.base import CommandParser

from django_hookflow.contrib.temporal.conf import conf
from django_hookflow.contrib.temporal.transport import explained
from django_hookflow.contrib.temporal.worker import Activity
from django_hookflow.contrib.temporal.worker import Job
from django_hookflow.contrib.temporal.worker import serve

CONCURRENT = 10
MOST = 1000


class Command(BaseCommand):
    """Subclasses add workflows and activities of their own."""

    help = "Runs a Temporal worker until SIGTERM or Ctrl-C."
    workflows: ClassVar[Sequence[type]] = ()
    activities: ClassVar[Sequence[Activity]] = ()

    def run_from_argv(self, argv: list[str]) -> None:
        super().run_from_argv(argv)
        leave()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--task-queue", default=conf.TEMPORAL_TASK_QUEUE,
            help="the queue to poll (TEMPORAL_TASK_QUEUE)",
        )  # fmt: skip
        parser.add_argument(
            "--max-concurrent", type=int, default=CONCURRENT,
            help="activities at the same time; each may hold a database "
            f"connection ({CONCURRENT})",
        )  # fmt: skip

    def handle(
        self, *args: Any, task_queue: str, max_concurrent: int, **options: Any
    ) -> None:
        if not 1 <= max_concurrent <= MOST:
            raise CommandError(
                f"Invalid --max-concurrent {max_concurrent}, expected 1 to "
                f"{MOST}."
            )
        job = Job(
            task_queue=task_queue,
            workflows=self.workflows,
            activities=self.activities,
            concurrent=max_concurrent,
        )
        try:
            serve(job, lambda: self.say(_begun(job)))
        except (OSError, RuntimeError, ValueError) as error:
            raise CommandError(
                f"The worker cannot use Temporal at {conf.TEMPORAL_ADDRESS}: "
                f"{explained(error)}. See TEMPORAL_ADDRESS and "
                "TEMPORAL_NAMESPACE."
            ) from error
        self.say("Stopped.")

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def leave() -> None:
    """End the process, as Python does but for taking itself apart.

    Threads of Temporal's library that call into Python meanwhile abort it.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _begun(job: Job) -> str:
    return (
        f"Polling the queue {job.task_queue} in the namespace "
        f"{conf.TEMPORAL_NAMESPACE} of {conf.TEMPORAL_ADDRESS}, with up to "
        f"{job.concurrent} activities at once, until SIGTERM."
    )
