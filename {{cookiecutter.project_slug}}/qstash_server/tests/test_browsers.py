"""A page of another site, in a browser on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from qstash_server.accounts import PUBLIC_USERS
from qstash_server.clock import ManualClock
from qstash_server.conf import Config
from qstash_server.server import Server

PUBLIC = PUBLIC_USERS[1].token
FOREIGN = {"error": "requests of other sites' pages are not accepted"}


@pytest.fixture
def browser(
    transactional_db: None, config: Config, clock: ManualClock
) -> Iterator[httpx.Client]:
    """Requests to a server in DEBUG, whose token is public."""
    with (
        Server(config=replace(config, debug=True), clock=clock) as server,
        httpx.Client(
            base_url=server.url, params={"qstash_token": PUBLIC}
        ) as client,
    ):
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_page_of_another_site_is_refused(
    browser: httpx.Client, headers: dict[str, str]
) -> None:
    answer = browser.post(
        "/v2/batch",
        json=[{"destination": "http://localhost:9/"}],
        headers=headers,
    )

    assert (answer.status_code, answer.json()) == (403, FOREIGN)
    assert browser.get("/v2/events").json()["events"] == []


@pytest.mark.parametrize("host", ["rebound.example", "rebound.example:8080"])
def test_public_token_does_not_count_under_a_name_of_the_internet(
    browser: httpx.Client, host: str
) -> None:
    answer = browser.get("/v2/keys", headers={"Host": host})

    assert answer.status_code == 403
    assert answer.json() == {
        "error": "a public token is not accepted under the name"
        " rebound.example; use localhost, or a QSTASH_TOKEN of your own"
    }


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:8080"},
        {"Host": "qstash.localhost"},
        {"Host": "qstash:8080"},
        {"Host": "192.168.1.5:8080"},
        {"Host": "[::1]:8080"},
        {"Host": "localhost:8080", "Origin": "http://localhost:8080"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Mode": "cors"},  # fetch of Node
    ],
)
def test_programs_and_own_pages_are_answered(
    browser: httpx.Client, headers: dict[str, str]
) -> None:
    assert browser.get("/v2/keys", headers=headers).status_code == 200


def test_own_token_counts_under_any_name(http: httpx.Client) -> None:
    headers = {"Host": "qstash.shop.example"}

    assert http.get("/v2/keys", headers=headers).status_code == 200
