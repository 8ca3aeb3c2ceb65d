"""Reading and cancelling messages."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from qstash import QStash
from qstash.errors import QStashError

from qstash_server.clock import ManualClock
from qstash_server.tests.helpers import Answer
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until

Log = Callable[[str], list[str]]


def test_unknown_message_is_404(client: QStash) -> None:
    with pytest.raises(QStashError) as refused:
        client.message.get("msg_unknown")

    assert str(refused.value) == (
        "Request failed with status: 404, body:"
        ' {"error":"message msg_unknown not found"}'
    )


def test_cancelled_message_is_gone_and_never_delivered(
    client: QStash, destination: Destination, clock: ManualClock, log: Log
) -> None:
    cancelled = client.message.publish(url=destination.url, delay="1m")

    client.message.cancel(cancelled.message_id)

    with pytest.raises(QStashError, match="404"):
        client.message.get(cancelled.message_id)
    with pytest.raises(QStashError, match="404"):
        client.message.cancel(cancelled.message_id)
    clock.advance(61)
    client.message.publish(url=destination.url, body="later")
    destination.wait_for(1)
    assert [one.body for one in destination.received] == [b"later"]
    assert log(cancelled.message_id) == [
        "CREATED",
        "CANCEL_REQUESTED",
        "CANCELED",
    ]


def test_delivered_message_cannot_be_cancelled(
    client: QStash, destination: Destination, log: Log
) -> None:
    published = client.message.publish(url=destination.url)
    until(lambda: "DELIVERED" in log(published.message_id))

    with pytest.raises(QStashError, match="404"):
        client.message.cancel(published.message_id)


@pytest.mark.parametrize(
    ("status", "end"),
    [(200, ["DELIVERED"]), (500, ["ERROR", "CANCELED"])],
)
def test_attempt_in_flight_goes_on_but_is_the_last(
    client: QStash,
    destination: Destination,
    log: Log,
    status: int,
    end: list[str],
) -> None:
    destination.gate.clear()
    destination.answers += [Answer(status)]
    published = client.message.publish(url=destination.url)
    destination.wait_for(1)

    client.message.cancel(published.message_id)
    destination.gate.set()

    until(lambda: end[-1] in log(published.message_id))
    assert log(published.message_id) == [
        "CREATED",
        "ACTIVE",
        "CANCEL_REQUESTED",
        *end,
    ]


def test_message_that_waits_for_its_retry_can_be_cancelled(
    client: QStash, destination: Destination, clock: ManualClock, log: Log
) -> None:
    destination.answers += [Answer(500)]
    published = client.message.publish(url=destination.url)
    until(lambda: "RETRY" in log(published.message_id))

    client.message.cancel(published.message_id)
    clock.advance(60)
    client.message.publish(url=destination.url, body="later")

    destination.wait_for(2)
    assert [one.body for one in destination.received] == [b"", b"later"]


def test_many_are_cancelled_by_id_or_all_at_once(
    client: QStash, dead_url: str
) -> None:
    ids = [
        client.message.publish(url=dead_url, delay="1d").message_id
        for _ in range(5)
    ]

    assert client.message.cancel_many(ids[:2]) == 2
    assert client.message.cancel_many(ids[:3]) == 1
    assert client.message.cancel_all() == 2
    assert client.message.cancel_all() == 0


def test_more_are_cancelled_than_fit_in_one_transaction(
    http: httpx.Client, client: QStash, dead_url: str
) -> None:
    item = {"destination": dead_url, "headers": {"Upstash-Delay": "1d"}}
    http.post("/v2/batch", json=[item] * 600)

    assert client.message.cancel_all() == 600


def test_empty_list_of_ids_cancels_nothing(
    client: QStash, dead_url: str
) -> None:
    published = client.message.publish(url=dead_url, delay="1d")

    with pytest.raises(QStashError, match="400"):
        client.message.cancel_many([])

    assert client.message.get(published.message_id)


@pytest.mark.parametrize(
    ("query", "cancelled"),
    [
        ("messageIds=unknown", 0),
        ("label=a", 2),
        ("label=a&label=c", 3),
        ("label=a,c", 3),
        ("label=A", 0),
        ("label=_", 0),
        ("label=a&host=localhost", 1),
        ("host=127.0.0.1", 2),
        ("path=/x", 1),
        ("url=http://localhost/x", 1),
        ("count=2", 2),
        ("fromDate=0&toDate=99999999999999", 3),
        ("toDate=1", 0),
        ("fromDate=99999999999999", 0),
        ("flowControlKey=k", 1),
        ("callerIp=127.0.0.1", 3),
        ("callerIP=10.0.0.1", 0),
        ("queueName=q", 0),
        ("topicName=q", 0),
        ("scheduleId=q", 0),
    ],
)
def test_filters_are_or_within_a_field_and_and_between(
    client: QStash, http: httpx.Client, query: str, cancelled: int
) -> None:
    client.message.publish(
        url="http://localhost/x",
        delay="1d",
        label="a,b",
        flow_control={"key": "k", "rate": 1},
    )
    client.message.publish(url="http://127.0.0.1/", delay="1d", label="a")
    client.message.publish(url="http://127.0.0.1/y", delay="1d", label="c")

    answer = http.delete(f"/v2/messages?{query}")

    assert answer.json() == {"cancelled": cancelled}


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("lable=a", "unknown filter field 'lable'"),
        ("count=0", "count: 0 is not between 1 and 500"),
        ("count=501", "count: 501 is not between 1 and 500"),
        ("count=x", "count: 'x' is not a number from 0 up"),
        ("fromDate=-1", "fromDate: '-1' is not a number from 0 up"),
        ("label=%00", "label: a NUL is not allowed"),
    ],
)
def test_malformed_filter_is_refused(
    http: httpx.Client, query: str, complaint: str
) -> None:
    answer = http.delete(f"/v2/messages?{query}")

    assert answer.status_code == 400
    assert answer.json() == {"error": complaint}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"[]", "the body is not a JSON object of filters"),
        (b'{"label": true}', "label: True is neither text nor number"),
        (b'{"label": [{}]}', "label: {} is neither text nor number"),
        (b"{", "the body is not JSON"),
    ],
)
def test_malformed_filter_in_a_body_is_refused(
    http: httpx.Client, body: bytes, complaint: str
) -> None:
    answer = http.request("DELETE", "/v2/messages", content=body)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(complaint)
