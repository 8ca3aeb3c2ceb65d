"""The Content Security Policy, as a real browser enforces it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import NoReverseMatch
from django.urls import reverse
from playwright.sync_api import ConsoleMessage
from playwright.sync_api import Page
from playwright.sync_api import sync_playwright

from core import csp
from django_hookflow.transports.memory import memory_transport
from orders.models import Product

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
STRICT = (
    "default-src 'self'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


def test_pages_carry_the_policy(client: Client, db: None) -> None:
    response = client.get("/")

    assert response.headers["Content-Security-Policy"] == STRICT
    assert "Content-Security-Policy-Report-Only" not in response.headers


def test_a_policy_can_be_reported_only(
    client: Client, db: None, settings: LazySettings
) -> None:
    settings.SECURE_CSP = {}
    settings.SECURE_CSP_REPORT_ONLY = csp.policy("https://reports.example/csp")

    response = client.get("/")

    assert "Content-Security-Policy" not in response.headers
    assert response.headers["Content-Security-Policy-Report-Only"] == (
        f"{STRICT}; report-uri https://reports.example/csp"
    )


@contextmanager
def browser() -> Iterator[tuple[Page, list[str]]]:
    """A page, and what it has said of violated policies and of errors."""
    if CHROMIUM is None:
        pytest.skip("No chromium on this machine: apt install chromium")
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            said.append(f"{message.page and message.page.url} {message.text}")

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        page = chromium.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page, said
        chromium.close()


@pytest.fixture
def shop(live_server: Any, settings: LazySettings) -> str:
    """The address of a site with a product, an account and messages."""
    settings.DJANGO_HOOKFLOW_DOMAIN = live_server.url
    settings.PAYMENTS_URL = f"{live_server.url}/sandbox"
    Product.objects.create(
        sku="MUG", name="Mug", price=Decimal("14.50"), stock=10
    )
    User.objects.create_superuser("root", password="secret")
    memory_transport().reset()
    url: str = live_server.url
    return url


def admin_pages() -> Iterator[str]:
    """The list and the form of every model the admin shows."""
    yield reverse("admin:index")
    yield reverse("admin:password_change")
    for model in apps.get_models():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        try:
            yield reverse(f"admin:{name}_changelist")
            yield reverse(f"admin:{name}_add")
        except NoReverseMatch:  # the admin does not show it
            continue


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


@pytest.mark.http
def test_the_admin_keeps_to_the_policy(shop: str) -> None:
    user = User.objects.get()
    change = reverse("admin:auth_user_change", args=[user.pk])
    delete = reverse("admin:auth_user_delete", args=[user.pk])
    paths = [*admin_pages(), change, delete]

    with browser() as (page, said):
        page.goto(shop + reverse("admin:index"))
        page.get_by_label("Username").fill("root")
        page.get_by_label("Password").fill("secret")
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("Site administration").first.wait_for()
        for path in paths:
            page.goto(shop + path)
            page.wait_for_load_state("load")

    assert "\n".join(said) == ""
    assert len(paths) > 15


@pytest.mark.http
def test_what_is_inline_is_not_run(shop: str) -> None:
    with browser() as (page, said):
        page.goto(shop)
        page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "window.ran = true";
                document.body.append(script);
            }"""
        )
        ran = page.evaluate("() => window.ran === true")

    assert not ran
    assert len(said) == 1
