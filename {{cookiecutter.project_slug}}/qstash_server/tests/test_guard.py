"""Addresses that are called, and those that are not."""

from __future__ import annotations

import socket
from dataclasses import replace
from re import escape
from typing import Any

import httpx
import pytest
from django.core.checks import Error
from django.core.checks import run_checks
from django.core.management import CommandError
from django.core.management import call_command
from qstash import QStash
from qstash import Receiver

from qstash_server.conf import Config
from qstash_server.conf import host_of
from qstash_server.errors import BadRequestError
from qstash_server.guard import ForbiddenError
from qstash_server.guard import Guard
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until

LEAD = (
    "Map the name of a host to the scheme, host and port to deliver to, for"
    ' example {"shop.example.com": "http://127.0.0.1:8000"}.'
)


def admits(guard: Guard, url: str) -> bool:
    try:
        guard.check_url(url, "url")
    except BadRequestError:
        return False
    return True


@pytest.mark.parametrize(
    ("url", "admitted"),
    [
        ("http://127.0.0.1/", True),
        ("http://127.9.9.9:8000/", True),
        ("http://[::1]/", True),
        ("http://localhost/", True),
        ("http://shop.localhost/", True),
        ("https://shop.example.com/x", True),
        ("https://evil.example.com/", False),
        ("http://169.254.169.254/latest", False),
        ("http://0.0.0.0/", False),
        ("http://192.168.1.1/", False),
        ("http://localhost.evil.com/", False),
    ],
)
def test_loopback_and_the_own_host_are_admitted(
    url: str, admitted: bool
) -> None:
    guard = Guard("shop.example.com", ())

    assert admits(guard, url) is admitted


@pytest.mark.parametrize(
    ("allowed", "admitted"),
    [
        (("hooks.example.com",), True),
        (("*",), True),
        (("example.com",), False),
    ],
)
def test_setting_opens_more(allowed: tuple[str, ...], admitted: bool) -> None:
    guard = Guard("", allowed)

    assert admits(guard, "https://hooks.example.com/") is admitted


@pytest.mark.parametrize(
    ("host", "address", "admitted"),
    [
        ("localhost", "127.0.0.1", True),
        ("localhost", "::1", True),
        ("shop.localhost", "10.0.0.1", False),
        ("own.example.com", "10.0.0.1", True),
        ("was-allowed.example.com", "127.0.0.1", False),
    ],
)
def test_resolved_address_is_checked_again(
    host: str, address: str, admitted: bool
) -> None:
    guard = Guard("own.example.com", ())

    if admitted:
        guard.check_address(host, address)
    else:
        with pytest.raises(ForbiddenError, match=f"resolves to {address}"):
            guard.check_address(host, address)


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        ("https://shop.example.com/path", "shop.example.com"),
        ("shop.example.com:8000", "shop.example.com"),
        ("", ""),
    ],
)
def test_own_host_is_that_of_the_domain(domain: str, host: str) -> None:
    assert host_of(domain) == host


@pytest.mark.django_db  # some checks of Django 6 ask the database
@pytest.mark.parametrize(
    ("name", "value", "problem", "hint"),
    [
        (
            "QSTASH_SERVER_ALLOWED_HOSTS",
            "*.example.com",
            "QSTASH_SERVER_ALLOWED_HOSTS is '*.example.com', not a list of"
            " names.",
            'Write each name in full, for example ["hooks.example.com"].',
        ),
        (
            "QSTASH_SERVER_QUOTAS",
            {"max_delays": 1},
            "QSTASH_SERVER_QUOTAS has a limit 'max_delays', which there is"
            " not.",
            "Did you mean max_delay?",
        ),
        (
            "QSTASH_SERVER_QUOTAS",
            {"max_delay": "1d"},
            "QSTASH_SERVER_QUOTAS has '1d' for max_delay.",
            "Give a whole number.",
        ),
        (
            "QSTASH_SERVER_ROUTES",
            {"shop.example.com": "127.0.0.1:8000"},
            "QSTASH_SERVER_ROUTES has 'shop.example.com': '127.0.0.1:8000',"
            " which leads nowhere.",
            LEAD,
        ),
        (
            "QSTASH_SERVER_ROUTES",
            {"shop.example.com": "http://127.0.0.1/below"},
            "QSTASH_SERVER_ROUTES has 'shop.example.com':"
            " 'http://127.0.0.1/below', which leads nowhere.",
            LEAD,
        ),
        (
            "QSTASH_SERVER_ROUTES",
            {"https://shop.example.com": "http://127.0.0.1"},
            "QSTASH_SERVER_ROUTES has 'https://shop.example.com':"
            " 'http://127.0.0.1', which leads nowhere.",
            LEAD,
        ),
        (
            "QSTASH_SERVER_ROUTES",
            "http://127.0.0.1",
            "QSTASH_SERVER_ROUTES has 'http://127.0.0.1', which leads"
            " nowhere.",
            LEAD,
        ),
    ],
)
def test_setting_that_cannot_be_meant_is_found(
    settings: Any,
    name: str,
    value: object,
    problem: str,
    hint: str,
) -> None:
    setattr(settings, name, value)

    with pytest.raises(CommandError, match=f"^{escape(f'{problem} {hint}')}$"):
        call_command("qstash_server")
    assert Error(problem, hint=hint, id="qstash_server.E001") in run_checks()


def test_hosts_are_compared_without_case(settings: Any) -> None:
    settings.QSTASH_SERVER_ALLOWED_HOSTS = ["Hooks.Example.com"]

    guard = Guard.of(Config.from_settings())

    assert admits(guard, "https://hooks.example.COM/")


def test_host_by_name_is_resolved_and_called(
    http: httpx.Client, destination: Destination
) -> None:
    url = destination.url.replace("127.0.0.1", "localhost")

    http.post(f"/v2/publish/{url}/x").raise_for_status()

    (received,) = destination.wait_for(1)
    assert received.headers["host"] == url.removeprefix("http://")


def test_name_that_moves_after_the_publish_is_not_called(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def moved(host: object, *args: Any, **kwargs: Any) -> Any:
        elsewhere = "192.0.2.1" if host == "shop.localhost" else host
        return real(elsewhere, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", moved)
    http.post("/v2/publish/http://shop.localhost:9/").raise_for_status()

    (event,) = until(
        lambda: http.get("/v2/events?state=ERROR").json()["events"]
    )

    assert event["error"] == (
        "shop.localhost resolves to 192.0.2.1, which is not loopback; add"
        " shop.localhost to QSTASH_SERVER_ALLOWED_HOSTS to deliver there"
    )


class TestOpened:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, allowed_hosts=("*",))

    def test_unknown_host_is_a_failed_attempt(
        self, http: httpx.Client
    ) -> None:
        http.post(
            "/v2/publish/http://nobody.invalid/",
            headers={"Upstash-Retries": "0"},
        ).raise_for_status()


PUBLIC = "https://shop.example.com:8443/hook/?a=1"


class TestRouted:
    @pytest.fixture
    def config(
        self, config: Config, settings: Any, destination: Destination
    ) -> Config:
        settings.QSTASH_SERVER_ROUTES = {"Shop.example.com": destination.url}
        return replace(config, routes=Config.from_settings().routes)

    def test_public_host_is_led_to_a_local_address(
        self, client: QStash, destination: Destination, receiver: Receiver
    ) -> None:
        client.message.publish(url=PUBLIC, body="paid")

        (received,) = destination.wait_for(1)
        assert received.target == "/hook/?a=1"
        assert received.headers["host"] == "shop.example.com:8443"
        receiver.verify(
            signature=received.headers["upstash-signature"],
            body="paid",
            url=PUBLIC,
        )

    def test_other_hosts_are_refused_as_ever(self, http: httpx.Client) -> None:
        answer = http.post("/v2/publish/https://api.shop.example.com/")

        assert answer.status_code == 400


@pytest.mark.django_db
def test_deployed_site_that_leads_deliveries_away_is_found(
    settings: Any,
) -> None:
    settings.QSTASH_SERVER_ROUTES = {"shop.example.com": "http://127.0.0.1"}

    found = run_checks(include_deployment_checks=True)

    assert "qstash_server.E002" in [one.id for one in found]
    assert "qstash_server.E002" not in [one.id for one in run_checks()]
