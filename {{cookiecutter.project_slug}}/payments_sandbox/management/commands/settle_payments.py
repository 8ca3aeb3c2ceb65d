"""Do what the notifier does, from the command line."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.core.management.base import CommandError

from payments_sandbox.notifications import send_due


class Command(BaseCommand):
    help = "Settle the charges that are due and notify their callers."

    def handle(self, *args: Any, **options: Any) -> None:
        report = send_due()
        if report.delivered:
            self.stdout.write(f"Notified of {report.delivered} charges.")
        if report.failed:
            raise CommandError(
                f"{report.failed} notifications were not taken; they will "
                "be sent again later. The log says why."
            )
