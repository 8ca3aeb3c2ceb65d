"""The log of events, by filters and pages."""

from __future__ import annotations

from base64 import b64decode
from base64 import b64encode
from typing import Any

import httpx
import pytest
from qstash import QStash

from qstash_server.clock import ManualClock
from qstash_server.tests.helpers import Answer
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until

SHOWN = ("body", "responseBody")


def delivered(http: httpx.Client, message_id: str) -> None:
    query = {"messageId": message_id, "state": "DELIVERED"}
    until(lambda: http.get("/v2/events", params=query).json()["events"])


def test_page_of_long_lines_ends_early_and_goes_on(
    http: httpx.Client, destination: Destination
) -> None:
    body, answers = b"x" * 60_000, b"y" * 60_000
    items = [
        {"destination": destination.url, "body": body.decode()}
        for _ in range(60)
    ]
    destination.answers += [Answer(body=answers) for _ in items]
    http.post("/v2/batch", json=items).raise_for_status()
    query = {"state": "DELIVERED", "count": "1000"}
    until(lambda: len(lines(http, query)) == 60)

    page = http.get("/v2/logs", params={"count": "1000"}).json()

    sizes = [
        sum(len(b64decode(line.get(name, ""))) for name in SHOWN)
        for line in page["logs"]
    ]
    assert 10_200_000 < sum(sizes) <= 10 * 1024 * 1024
    everything = lines(http, {"count": "1000"})
    assert len(everything) == 180  # CREATED, ACTIVE, DELIVERED
    assert everything[: len(sizes)] == page["logs"]


def lines(http: httpx.Client, query: dict[str, str]) -> list[Any]:
    """The lines of all pages."""
    found, cursor = [], ""
    while cursor is not None:
        page = http.get("/v2/logs", params=query | {"cursor": cursor}).json()
        found += page["logs"]
        cursor = page.get("cursor")
    return found


def test_log_line_shows_message_and_answer_in_both_spellings(
    http: httpx.Client, destination: Destination, clock: ManualClock
) -> None:
    destination.answers += [Answer(201, (("X-A", "1"),), b"\xff")]
    published = http.post(
        f"/v2/publish/{destination.url}",
        content=b"hello",
        headers={
            "Upstash-Retry-Delay": "1000",
            "Upstash-Timeout": "30s",
            "Upstash-Label": "a",
            "Upstash-Callback": f"{destination.url}/callback",
            "Upstash-Callback-Forward-X-C": "c",
            "Upstash-Flow-Control-Key": "k",
            "Upstash-Flow-Control-Value": "rate=5",
        },
    ).json()
    delivered(http, published["messageId"])

    answer = http.get(
        "/v2/logs",
        params={"messageId": published["messageId"], "state": "DELIVERED"},
    ).json()

    assert answer["events"] == answer["logs"]
    (line,) = answer["logs"]
    headers = line.pop("responseHeaders")
    assert line.pop("responseHeader") == headers
    assert headers["X-A"] == ["1"]
    assert line == {
        "time": clock.now(),
        "messageId": published["messageId"],
        "state": "DELIVERED",
        "url": destination.url,
        "method": "POST",
        "maxRetries": 3,
        "header": {},
        "body": b64encode(b"hello").decode(),
        "callerIP": "127.0.0.1",
        "callback": f"{destination.url}/callback",
        "callbackHeaders": {"X-C": ["c"]},
        "retryDelayExpr": "1000",
        "retryDelayExpression": "1000",
        "timeout": 30_000,
        "label": "a",
        "labels": ["a"],
        "flowControlKey": "k",
        "rate": 5,
        "period": 1,
        "responseStatus": 201,
        "responseBody": b64encode(b"\xff").decode(),
    }


def test_official_client_reads_the_log(
    client: QStash, http: httpx.Client, destination: Destination
) -> None:
    destination.answers += [Answer(500)]
    published = client.message.publish(url=destination.url)

    def retried() -> bool:
        logs = client.log.list(
            filter={"message_id": published.message_id}
        ).logs
        return logs[0].state.value == "RETRY"

    until(retried)
    logs = client.log.list(filter={"message_id": published.message_id}).logs
    assert [log.state.value for log in logs] == [
        "RETRY",
        "ERROR",
        "ACTIVE",
        "CREATED",
    ]
    assert logs[1].error == "destination answered with status 500"
    assert logs[0].next_delivery_time == logs[0].time + 12_000


def test_pages_go_backwards_from_the_latest(
    client: QStash, http: httpx.Client, destination: Destination
) -> None:
    published = client.message.publish(url=destination.url)
    delivered(http, published.message_id)

    def page(query: str) -> tuple[list[str], str]:
        answer = http.get(f"/v2/events?{query}").json()
        states = [event["state"] for event in answer["events"]]
        return states, answer.get("cursor", "")

    newest, cursor = page("count=2")
    oldest, end = page(f"count=2&cursor={cursor}")

    assert newest == ["DELIVERED", "ACTIVE"]
    assert (oldest, end) == (["CREATED"], "")
    assert page("order=earliestFirst&count=1")[0] == ["CREATED"]


@pytest.mark.parametrize(
    ("query", "states"),
    [
        ("state=CREATED", ["CREATED"]),
        ("state=CREATED&state=DELIVERED", ["DELIVERED", "CREATED"]),
        ("state=IN_PROGRESS", ["ACTIVE"]),
        ("state=CANCELLED", []),
        ("label=a&state=CREATED", ["CREATED"]),
        ("label=b", []),
        ("path=/x&state=CREATED", ["CREATED"]),
        ("host=elsewhere", []),
        ("toDate=1", []),
        ("messageIds=unknown", []),
        ("groupBy=messageId&state=CREATED", ["CREATED"]),
    ],
)
def test_filters(
    client: QStash,
    http: httpx.Client,
    destination: Destination,
    query: str,
    states: list[str],
) -> None:
    published = client.message.publish(url=f"{destination.url}/x", label="a")
    delivered(http, published.message_id)

    answer = http.get(f"/v2/events?{query}")

    assert [event["state"] for event in answer.json()["events"]] == states


def test_large_bodies_are_left_out(
    http: httpx.Client, destination: Destination
) -> None:
    for size in (64 * 1024, 64 * 1024 + 1):
        http.post(f"/v2/publish/{destination.url}", content=b"x" * size)

    events = http.get("/v2/events?state=CREATED").json()["events"]

    assert ["body" in event for event in events] == [False, True]


@pytest.mark.parametrize(
    "query",
    ["state=LOST", "typo=1", "count=1001", "cursor=x", "order=none"],
)
def test_malformed_filter_is_400(http: httpx.Client, query: str) -> None:
    assert http.get(f"/v2/events?{query}").status_code == 400
