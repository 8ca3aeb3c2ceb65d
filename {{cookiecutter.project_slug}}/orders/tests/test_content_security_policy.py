"""The Content Security Policy of the shop, as a real browser enforces it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User

from django_hookflow.transports.memory import memory_transport
from orders.models import Product
from tests.browser import browser


@pytest.fixture
def shop(live_server: Any, settings: LazySettings) -> str:
    """Return the address of a site with a product, an account and messages."""
    settings.DJANGO_HOOKFLOW_DOMAIN = live_server.url
    settings.PAYMENTS_URL = f"{live_server.url}/sandbox"
    Product.objects.create(
        sku="MUG", name="Mug", price=Decimal("14.50"), stock=10
    )
    User.objects.create_superuser("root", password="secret")
    memory_transport().reset()
    url: str = live_server.url
    return url


@pytest.mark.http
def test_the_shop_the_sandbox_and_the_api_keep_to_the_policy(
    shop: str,
) -> None:
    with browser() as (page, said):
        page.goto(shop)
        page.get_by_label("Mug").fill("2")
        page.get_by_label("E-mail").fill("ada@example.com")
        page.get_by_role("button", name="Place the order").click()
        page.get_by_role("status").wait_for()
        order = page.get_by_text("The same as JSON")
        api = str(order.get_attribute("href")).removesuffix("?format=json")
        for path in (api, "/api/orders/", "/api/products/", "/sandbox/"):
            page.goto(shop + path)
            page.wait_for_load_state("load")

    assert "\n".join(said) == ""
