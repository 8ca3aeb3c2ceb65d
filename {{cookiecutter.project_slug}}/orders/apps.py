"""The sample application: a small shop whose orders are workflows."""

from __future__ import annotations

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"

    def ready(self) -> None:
        from . import checks  # noqa: F401
