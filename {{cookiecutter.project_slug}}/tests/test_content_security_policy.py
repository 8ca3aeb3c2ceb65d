"""The Content Security Policy, as a real browser enforces it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import NoReverseMatch
from django.urls import reverse

from core import csp
from django_hookflow.transports.memory import memory_transport
from tests.browser import browser

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


@pytest.fixture
def site(live_server: Any) -> str:
    """Return the address of a site with an account."""
    User.objects.create_superuser("root", password="secret")
    memory_transport().reset()
    url: str = live_server.url
    return url


def admin_pages() -> Iterator[str]:
    """Yield the list and the form of every model the admin shows."""
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
def test_the_admin_keeps_to_the_policy(site: str) -> None:
    user = User.objects.get()
    change = reverse("admin:auth_user_change", args=[user.pk])
    delete = reverse("admin:auth_user_delete", args=[user.pk])
    paths = [*admin_pages(), change, delete]

    with browser() as (page, said):
        page.goto(site + reverse("admin:index"))
        page.get_by_label("Username").fill("root")
        page.get_by_label("Password").fill("secret")
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("Site administration").first.wait_for()
        for path in paths:
            page.goto(site + path)
            page.wait_for_load_state("load")

    assert "\n".join(said) == ""
    assert len(paths) > 10


@pytest.mark.http
def test_what_is_inline_is_not_run(site: str) -> None:
    with browser() as (page, said):
        page.goto(site)
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
