"""Clients that order or look too often are throttled."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from django_hookflow import clock
from django_hookflow.models import WorkflowRun
from django_hookflow.transports.memory import memory_transport
from orders.models import Product

pytestmark = pytest.mark.django_db

NUMBERS = itertools.count(1)
ORDER = {
    "email": "ada@example.com",
    "card_number": "4242424242424242",
    "lines": [{"sku": "MUG", "quantity": 1}],
}


@pytest.fixture
def address() -> str:
    """Return an address that no other test has used."""
    return f"10.2.{next(NUMBERS)}.7"


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    """Yield a client behind our proxy, while a minute begins."""
    minute = datetime(2026, 1, 1, tzinfo=UTC)
    memory_transport().reset()
    with clock.source(lambda: minute):
        yield Client(headers={"X-Forwarded-For": f"6.6.6.6, {address}"})


def place(client: Client) -> Any:
    return client.post("/api/orders/", ORDER, content_type="application/json")


def test_orders_are_throttled_in_the_shop_and_in_the_api_together(
    client: Client, settings: LazySettings, caplog: Any, address: str
) -> None:
    settings.THROTTLES = {"orders": "2/minute"}
    Product.objects.create(
        sku="MUG", name="Mug", price=Decimal("14.50"), stock=10
    )

    by_api = place(client)
    by_form = client.post("/", {})
    again = place(client)

    assert (by_api.status_code, by_form.status_code) == (201, 400)
    assert again.status_code == 429
    assert again.headers["Retry-After"] == "60"
    assert again.json() == {
        "detail": "Too many requests came from your address. Try again in 60 "
        "seconds."
    }
    assert WorkflowRun.objects.count() == 1
    assert (
        f"POST /api/orders/ of {address} is throttled: more than 2/minute in "
        f"orders (X-Forwarded-For: 6.6.6.6, {address})"
    ) in caplog.messages


def test_looking_at_orders_is_throttled(
    client: Client, settings: LazySettings
) -> None:
    settings.THROTTLES = {"status": "2/minute"}
    nobody = "/orders/00000000-0000-0000-0000-000000000000/"

    statuses = [
        client.get(path).status_code
        for path in (nobody, f"/api{nobody}", nobody, f"/api{nobody}", "/")
    ]

    assert statuses == [404, 404, 429, 429, 200]


def test_looking_without_reading_is_throttled_too(
    client: Client, settings: LazySettings
) -> None:
    settings.THROTTLES = {"status": "2/minute"}
    nobody = "/api/orders/00000000-0000-0000-0000-000000000000/"

    for _ in range(2):
        client.head(nobody)

    assert client.head(nobody).status_code == 429
    assert client.get(nobody).status_code == 429


def test_refused_notifications_of_payments_are_throttled(
    client: Client, settings: LazySettings
) -> None:
    settings.THROTTLES = {"webhook": "1/minute"}

    statuses = [
        client.post(
            "/payments/webhook/", b"{}", content_type="application/json"
        ).status_code
        for _ in range(2)
    ]

    assert statuses == [401, 429]
