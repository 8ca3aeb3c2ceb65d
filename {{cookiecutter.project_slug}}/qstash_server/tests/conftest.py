"""A server on a clock that stands still, its client, and a destination."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterator

import httpx
import pytest
from qstash import QStash
from qstash import Receiver

from qstash_server.clock import ManualClock
from qstash_server.conf import Config
from qstash_server.server import Server
from qstash_server.tests.helpers import DEADLINE
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until

TOKEN = "token-of-the-tests"
CURRENT = "sig_current_key_0123456789abcdef"
NEXT = "sig_next_key_0123456789abcdefghi"


@pytest.fixture
def config() -> Config:
    return Config(token=TOKEN, current_key=CURRENT, next_key=NEXT)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(int(time.time()) * 1000)


@pytest.fixture
def server(
    transactional_db: None, config: Config, clock: ManualClock
) -> Iterator[Server]:
    with Server(config=config, clock=clock) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[QStash]:
    one = QStash(TOKEN, base_url=server.url)
    yield one
    one.http._client.close()  # it has no way to do it itself


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """The API without the official client, for what that cannot send."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(
        base_url=server.url, headers=headers, timeout=DEADLINE
    ) as plain:
        yield plain


@pytest.fixture
def destination() -> Iterator[Destination]:
    one = Destination()
    yield one
    one.close()


@pytest.fixture
def receiver() -> Receiver:
    return Receiver(CURRENT, NEXT)


@pytest.fixture
def retries(http: httpx.Client) -> Callable[[int], None]:
    """Wait until so many attempts have been put off to later.

    Only then may a test move the clock: the next attempt is counted from
    the moment at which the failure was written down.
    """

    def wait_for(count: int) -> None:
        query = {"state": "RETRY"}
        until(
            lambda: (
                len(http.get("/v2/events", params=query).json()["events"])
                >= count
            )
        )

    return wait_for


@pytest.fixture
def dead_url() -> str:
    """An address where nothing listens."""
    return "http://127.0.0.1:9/nobody"


@pytest.fixture
def log(http: httpx.Client) -> Callable[[str], list[str]]:
    """The states a message went through, the oldest first."""

    def states(message_id: str) -> list[str]:
        query = {"messageId": message_id, "order": "earliestFirst"}
        events = http.get("/v2/events", params=query).json()["events"]
        return [event["state"] for event in events]

    return states


@pytest.fixture
def server_url(server: Server) -> str:
    return server.url
