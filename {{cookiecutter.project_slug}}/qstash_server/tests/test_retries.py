"""Retries, and the other results of a failed attempt."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from qstash import QStash

from qstash_server.clock import ManualClock
from qstash_server.tests.helpers import Answer
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until

Log = Callable[[str], list[str]]


def next_delivery(http: httpx.Client, count: int) -> float:
    """Seconds until the next attempt, as the log says after `count`."""
    query = {"state": "RETRY"}
    events = until(
        lambda: (
            (found := http.get("/v2/events", params=query).json()["events"])
            and len(found) >= count
            and found
        )
    )
    return (events[0]["nextDeliveryTime"] - events[0]["time"]) / 1000


def test_dead_destination_is_retried_by_the_backoff_and_given_up(
    http: httpx.Client,
    client: QStash,
    destination: Destination,
    clock: ManualClock,
    log: Log,
) -> None:
    destination.answers += [Answer(500)] * 6
    published = client.message.publish(url=destination.url, retries=5)

    delays = []
    for attempt in range(1, 6):
        delays.append(next_delivery(http, attempt))
        clock.advance(delays[-1])
    until(lambda: client.dlq.list().messages)

    assert delays == [12, 148, 1808, 22026, 86400]
    retried = [one.headers["upstash-retried"] for one in destination.received]
    assert retried == ["0", "1", "2", "3", "4", "5"]
    ids = {one.headers["upstash-message-id"] for one in destination.received}
    assert ids == {published.message_id}
    assert log(published.message_id) == [
        "CREATED",
        *["ACTIVE", "ERROR", "RETRY"] * 5,
        *["ACTIVE", "ERROR", "FAILED"],
    ]


def test_retry_is_signed_again(
    client: QStash, destination: Destination, clock: ManualClock
) -> None:
    destination.answers += [Answer(500, (("Retry-After", "0"),))]

    client.message.publish(url=destination.url)

    first, second = destination.wait_for(2)
    assert (
        first.headers["upstash-signature"]
        != second.headers["upstash-signature"]
    )


@pytest.mark.parametrize(
    ("headers", "expression", "seconds"),
    [
        ((("Retry-After", "7"),), None, 7),
        ((("Retry-After", "6m5s"),), None, 365),
        ((("Retry-After", "7"),), "1000", 7),
        ((("X-RateLimit-Reset", "9"),), None, 9),
        ((("X-RateLimit-Reset-Requests", "1m"),), None, 60),
        ((("X-RateLimit-Reset-Tokens", "11"),), None, 11),
        ((("Retry-After", "86401"),), None, 12),
        ((("Retry-After", "soon"),), None, 12),
        ((("Retry-After", "soon"), ("X-RateLimit-Reset", "9")), None, 9),
        ((), "2500 + retried", 2.5),
    ],
)
def test_next_attempt_is_when_it_was_asked_for(
    http: httpx.Client,
    client: QStash,
    destination: Destination,
    headers: tuple[tuple[str, str], ...],
    expression: str | None,
    seconds: float,
) -> None:
    destination.answers += [Answer(429, headers)]

    client.message.publish(url=destination.url, retry_delay=expression)

    assert next_delivery(http, 1) == seconds


@pytest.mark.parametrize("status", [300, 302, 404, 500])
def test_only_2xx_is_success_and_redirects_are_not_followed(
    client: QStash, destination: Destination, status: int
) -> None:
    elsewhere = (("Location", f"{destination.url}/elsewhere"),)
    destination.answers += [Answer(status, elsewhere, b"no")]

    client.message.publish(url=destination.url, retries=0)

    (letter,) = until(lambda: client.dlq.list().messages)
    assert (letter.response_status, letter.response_body) == (status, "no")
    assert len(destination.received) == 1


def test_489_with_its_header_is_given_up_at_once(
    client: QStash, destination: Destination, log: Log
) -> None:
    header = (("Upstash-NonRetryable-Error", "true"),)
    destination.answers += [Answer(489, header)]

    published = client.message.publish(url=destination.url)

    until(lambda: client.dlq.list().messages)
    assert log(published.message_id) == [
        "CREATED",
        "ACTIVE",
        "ERROR",
        "FAILED",
    ]


def test_489_without_its_header_is_retried(
    http: httpx.Client, client: QStash, destination: Destination
) -> None:
    destination.answers += [Answer(489)]

    client.message.publish(url=destination.url)

    assert next_delivery(http, 1) == 12


def test_refused_connection_is_an_error_with_a_reason(
    http: httpx.Client, client: QStash, dead_url: str
) -> None:
    client.message.publish(url=dead_url, retries=0)

    until(lambda: client.dlq.list().messages)
    query = {"state": "ERROR"}
    (event,) = http.get("/v2/events", params=query).json()["events"]
    assert "Connect call failed" in event["error"]
    assert "responseStatus" not in event
