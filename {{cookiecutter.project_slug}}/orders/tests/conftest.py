"""A shop with two products, its customers, its provider and its time."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings
from django.http import HttpResponse
from django.test import Client

from django_hookflow import clock
from django_hookflow.models import WorkflowRun
from django_hookflow.transports.memory import memory_transport
from orders.models import Product
from payments_sandbox.notifications import next_due
from payments_sandbox.notifications import send_due

Place = Callable[..., HttpResponse]


@pytest.fixture
def mug(db: None) -> Product:
    return Product.objects.create(
        sku="MUG", name="Mug", price=Decimal("14.50"), stock=10
    )


@pytest.fixture
def last_pot(db: None) -> Product:
    return Product.objects.create(
        sku="POT", name="Teapot", price=Decimal("64.00"), stock=1
    )


@pytest.fixture
def place(client: Client) -> Place:
    """Post an order to the API: two mugs, unless told otherwise."""

    def place(**changes: Any) -> HttpResponse:
        body = {
            "email": "ada@example.com",
            "card_number": "4242424242424242",
            "lines": [{"sku": "MUG", "quantity": 2}],
            **changes,
        }
        sent = {name: value for name, value in body.items() if value != ...}
        return client.post(
            "/api/orders/", sent, content_type="application/json"
        )

    return place


class World:
    """The site, the provider and the time, all moved by hand."""

    def __init__(self, deliveries: int) -> None:
        self.now = clock.now()
        self.deliveries = deliveries

    def run_to_the_end(self) -> None:
        """Let everything happen, each thing when its time has come."""
        self.run_until_quiet()
        while due := self.next_due():
            self.now = max(self.now, due)
            self.run_until_quiet()

    def run_until_quiet(self) -> None:
        """Let happen what is due now."""
        while memory_transport().drain(self.deliveries) or self.notify():
            pass

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.run_until_quiet()

    def notify(self) -> int:
        report = send_due(self.now)
        return report.delivered + report.failed

    def next_due(self) -> datetime | None:
        times = (memory_transport().next_due(), next_due())
        return min((time for time in times if time), default=None)

    def journal(self) -> list[tuple[str, str]]:
        """Return the steps of the only run and how they ended."""
        run = WorkflowRun.objects.get()
        steps = run.step_executions.values_list("step_id", "status")
        return list(steps)


@pytest.fixture(params=[1, 2], ids=["delivered once", "delivered twice"])
def world(
    request: pytest.FixtureRequest,
    live_server: Any,
    settings: LazySettings,
) -> Iterator[World]:
    """Yield the project over HTTP, with its messages in memory."""
    settings.PAYMENTS_URL = f"{live_server.url}/sandbox"
    settings.DJANGO_HOOKFLOW_DOMAIN = live_server.url
    settings.PAYMENTS_SANDBOX_SECONDS = 1
    settings.PAYMENTS_SANDBOX_SLOW_SECONDS = 1200
    settings.ORDERS_PAYMENT_TIMEOUT = 3600
    memory_transport().reset()
    world = World(request.param)
    with clock.source(lambda: world.now):
        yield world
    memory_transport().reset()
