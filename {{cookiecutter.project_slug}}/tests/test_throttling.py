"""Clients that send too many requests are throttled."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test import RequestFactory

from core.models import RequestCount
from core.throttling import client_address
from core.throttling import rate_of
from core.throttling import seconds_to_wait
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport

pytestmark = pytest.mark.django_db

NUMBERS = itertools.count(1)


@pytest.fixture
def address() -> str:
    """Return an address that no other test has used."""
    return f"10.1.{next(NUMBERS)}.7"


@pytest.fixture
def client(address: str, world: World) -> Client:
    """Return a client behind our proxy, on a site with throttles."""
    return Client(headers={"X-Forwarded-For": f"6.6.6.6, {address}"})


@workflow(workflow_id="throttled")
def throttled(ctx: WorkflowContext) -> None: ...


def test_the_next_minute_is_a_new_one(
    client: Client, settings: LazySettings, world: World
) -> None:
    settings.THROTTLES = {"login": "1/minute"}
    client.post("/admin/login/")
    world.now += timedelta(seconds=45)
    late = client.post("/admin/login/")

    world.now += timedelta(seconds=15)
    next_minute = client.post("/admin/login/")

    assert (late.status_code, late.headers["Retry-After"]) == (429, "15")
    assert next_minute.status_code == 200
    assert RequestCount.objects.count() == 1  # the last one is forgotten


def test_a_port_makes_no_new_client(
    client: Client, settings: LazySettings, address: str
) -> None:
    settings.THROTTLES = {"login": "1/hour"}

    statuses = [
        client.post(
            "/admin/login/", headers={"X-Forwarded-For": f"{address}:{port}"}
        ).status_code
        for port in (4711, 4712)
    ]

    assert statuses == [200, 429]


def test_guessing_a_password_ends_soon_even_with_the_right_one(
    client: Client, settings: LazySettings
) -> None:
    settings.THROTTLES = {"login": "3/hour"}
    User.objects.create_superuser("root", password="right")

    statuses = [
        client.post(
            "/admin/login/?next=/admin/",
            {"username": "root", "password": password},
        ).status_code
        for password in ("a", "b", "c", "right")
    ]

    assert statuses == [200, 200, 200, 429]


def test_people_are_told_in_a_sentence(
    client: Client, settings: LazySettings
) -> None:
    settings.THROTTLES = {"login": "1/hour"}
    client.post("/admin/login/")

    response = client.post("/admin/login/", headers={"Accept": "text/html"})

    assert response.status_code == 429
    assert response.headers["Content-Type"] == "text/plain"
    assert response.content.decode().startswith("Too many requests came ")


def test_another_address_is_not_throttled(
    client: Client, settings: LazySettings, world: World
) -> None:
    settings.THROTTLES = {"login": "1/hour"}
    client.post("/admin/login/")
    client.post("/admin/login/")

    other = Client(headers={"X-Forwarded-For": "10.9.9.9"})

    assert other.post("/admin/login/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_refused_messages_are_throttled_and_signed_ones_never(
    client: Client,
    settings: LazySettings,
    world: World,
) -> None:
    settings.THROTTLES = {"webhook": "2/minute"}
    webhook = "/hookflow/workflow/throttled/"

    refused = [
        client.post(webhook, b"{}", content_type="application/json")
        for _ in range(4)
    ]
    for number in range(4):
        throttled.trigger(data={}, run_id=f"r{number}")
    # QStash comes by the same address: a proxy that was not counted.
    settings.DJANGO_TRUSTED_PROXIES = 0
    for _ in range(4):
        client.post(webhook, b"{}", content_type="application/json")
    memory_transport().drain()

    assert [one.status_code for one in refused] == [401, 401, 429, 429]
    assert refused[-1].headers["Retry-After"] == "60"
    assert set(WorkflowRun.objects.values_list("status", flat=True)) == {
        "completed"
    }


def test_a_flood_costs_no_more_statements_than_are_allowed(
    client: Client,
    settings: LazySettings,
    django_assert_num_queries: Any,
) -> None:
    settings.THROTTLES = {"login": "1/hour"}
    client.post("/admin/login/")
    client.post("/admin/login/")

    with django_assert_num_queries(0):
        response = client.post("/admin/login/")

    assert response.status_code == 429


@pytest.mark.django_db(transaction=True)
def test_processes_that_count_at_once_lose_none(
    world: World, address: str
) -> None:
    rate = rate_of("30/minute")
    assert rate is not None

    def ask(_: int) -> bool:
        try:
            return seconds_to_wait("login", address, rate) == 0
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        passed = sum(pool.map(ask, range(60)))

    assert passed == 30


def test_no_address_is_kept(
    client: Client, settings: LazySettings, address: str
) -> None:
    settings.THROTTLES = {"login": "1/hour"}

    client.post("/admin/login/")

    (key,) = RequestCount.objects.values_list("key", flat=True)
    assert address not in key
    assert len(key) == 64


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, "1.1.1.1", "127.0.0.1"),
        (1, "", "127.0.0.1"),
        (1, "1.1.1.1", "1.1.1.1"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1,10.0.0.1", "1.1.1.1"),
        (3, "1.1.1.1, 10.0.0.1", "127.0.0.1"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "::ffff:1.1.1.1", "1.1.1.1"),
        (1, "1.1.1.1:4711", "1.1.1.1"),
        (1, "[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::/64"),
        (1, "[2001:db8:1:2:3:4:5:6]:4711", "2001:db8:1:2::/64"),
        (1, "unknown", "unknown"),
    ],
)
def test_the_address_is_what_a_proxy_we_trust_has_seen(
    proxies: int, forwarded: str, seen: str, settings: LazySettings
) -> None:
    settings.DJANGO_TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}

    request = RequestFactory(headers=headers).get("/")

    assert client_address(request) == seen
