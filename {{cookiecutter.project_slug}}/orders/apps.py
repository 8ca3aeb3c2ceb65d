"""The sample application: a small shop whose orders are workflows."""

from __future__ import annotations

from typing import ClassVar

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"

    # Read by core.throttling: the scope of each method and view name.
    throttles: ClassVar = {
        ("POST", "orders:shop"): "orders",
        ("POST", "orders:api-orders"): "orders",
        ("GET", "orders:order"): "status",
        ("GET", "orders:api-order"): "status",
    }
    throttled_webhooks = ("orders:payment-webhook",)

    def ready(self) -> None:
        from . import checks  # noqa: F401
