"""A simulated payment provider for the shop."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.signals import request_started

from .role import has_notifier


class PaymentsSandboxConfig(AppConfig):
    name = "payments_sandbox"
    verbose_name = "payments sandbox"

    def ready(self) -> None:
        from . import checks  # noqa: F401
        from .notifier import notifier

        if has_notifier():
            request_started.connect(notifier.start)
