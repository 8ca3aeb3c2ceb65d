"""Rates and parallelism by key."""

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


def publish(
    client: QStash, destination: Destination, count: int, **flow: object
) -> None:
    for _ in range(count):
        client.message.publish(
            url=destination.url,
            flow_control={"key": "k", **flow},  # type: ignore[typeddict-item]
        )


def test_rate_is_never_exceeded_and_nothing_is_rejected(
    client: QStash, destination: Destination, clock: ManualClock
) -> None:
    publish(client, destination, 7, rate=3, period="1m")
    counts = []

    for wanted in (3, 6, 7):
        destination.wait_for(wanted)
        # Another message shows that the dispatcher has had its chance.
        client.message.publish(url=f"{destination.url}/other")
        until(lambda: destination.received[-1].target == "/other")
        destination.received.pop()
        counts.append(len(destination.received))
        clock.advance(60)

    assert counts == [3, 6, 7]


def test_parallelism_is_how_many_calls_are_open(
    client: QStash, destination: Destination
) -> None:
    destination.gate.clear()

    publish(client, destination, 5, parallelism=2)

    destination.wait_for(2)
    key = client.flow_control.get("k")
    assert (key.parallelism_count, key.wait_list_size) == (2, 3)
    assert len(destination.received) == 2
    destination.gate.set()
    destination.wait_for(5)


def test_retry_waits_for_its_turn_again(
    client: QStash,
    destination: Destination,
    clock: ManualClock,
    retries: Callable[[int], None],
) -> None:
    destination.answers += [Answer(500)]
    publish(client, destination, 1, rate=1, period="1h")
    retries(1)
    clock.advance(12)
    client.message.publish(url=destination.url, body="other")
    destination.wait_for(2)
    assert destination.received[1].body == b"other"

    clock.advance(3600)

    assert destination.wait_for(3)[2].headers["upstash-retried"] == "1"


def test_latest_message_sets_the_limits_unless_they_are_pinned(
    http: httpx.Client, client: QStash, destination: Destination
) -> None:
    def limits() -> tuple[int, int, int]:
        key = client.flow_control.get("k")
        return key.parallelism_max, key.rate_max, key.rate_period

    publish(client, destination, 1, parallelism=9, rate=5, period=60)
    assert limits() == (9, 5, 60)
    publish(client, destination, 1, rate=7)
    assert limits() == (0, 7, 1)
    http.post("/v2/flowControl/k/pin?parallelism=4&other=x&rate=2&period=30")
    publish(client, destination, 1, parallelism=9, rate=9)
    assert limits() == (4, 2, 30)
    client.flow_control.unpin("k", {"parallelism": True, "rate": True})
    assert limits() == (4, 2, 30)
    publish(client, destination, 1, parallelism=9, rate=9)
    assert limits() == (9, 9, 1)


def test_message_without_a_value_keeps_the_limits(
    http: httpx.Client, client: QStash, destination: Destination
) -> None:
    publish(client, destination, 1, rate=5)

    http.post(
        f"/v2/publish/{destination.url}",
        headers={"Upstash-Flow-Control-Key": "k"},
    ).raise_for_status()

    assert client.flow_control.get("k").rate_max == 5


def test_pause_holds_and_resume_lets_go(
    client: QStash, destination: Destination
) -> None:
    client.flow_control.pause("k")
    publish(client, destination, 2, rate=10)
    client.message.publish(url=destination.url, body="other")
    destination.wait_for(1)
    assert destination.received[0].body == b"other"
    assert client.flow_control.get("k").is_paused

    client.flow_control.resume("k")

    destination.wait_for(3)


@pytest.mark.parametrize("operation", ["resetRate", "reset"])
def test_reset_ends_the_period(
    http: httpx.Client,
    client: QStash,
    destination: Destination,
    operation: str,
) -> None:
    publish(client, destination, 2, rate=1, period="1h")
    destination.wait_for(1)

    http.post(f"/v2/flowControl/k/{operation}").raise_for_status()

    destination.wait_for(2)


def test_key_shows_all_of_its_fields(
    http: httpx.Client,
    client: QStash,
    destination: Destination,
    clock: ManualClock,
) -> None:
    publish(client, destination, 1, rate=3, period=60)
    destination.wait_for(1)

    keys = http.get("/v2/flowControl", params={"search": "k"}).json()

    assert keys == [
        {
            "flowControlKey": "k",
            "waitListSize": 0,
            "parallelismMax": 0,
            "parallelismCount": keys[0]["parallelismCount"],
            "rateMax": 3,
            "rateCount": 1,
            "ratePeriod": 60,
            "ratePeriodStart": clock.now() // 1000,
            "isPaused": False,
            "isPinnedParallelism": False,
            "isPinnedRate": False,
        }
    ]
    assert http.get("/v2/flowControl?search=x").json() == []
    with pytest.raises(QStashError, match=r"404.*flow control key x not"):
        client.flow_control.get("x")


def test_message_of_a_queue_passes_its_flow_key_too(
    http: httpx.Client, client: QStash, destination: Destination
) -> None:
    client.flow_control.pause("k")
    headers = {
        "Upstash-Flow-Control-Key": "k",
        "Upstash-Flow-Control-Value": "rate=10",
    }
    for body in (b"a", b"b"):
        http.post(
            f"/v2/enqueue/q/{destination.url}", content=body, headers=headers
        )
    until(lambda: client.flow_control.get("k").wait_list_size == 1)
    assert client.queue.get("q").lag == 2

    client.flow_control.resume("k")

    destination.wait_for(2)
    assert [one.body for one in destination.received] == [b"a", b"b"]


def test_parallelism_of_the_server_is_shown(client: QStash) -> None:
    shown = client.flow_control.get_global_parallelism()

    assert (shown.parallelism_max, shown.parallelism_count) == (32, 0)


@pytest.mark.parametrize(
    "path",
    [
        "k/pin",
        "k/pin?rate=0",
        "k/pin?rate=x",
        "k/pin?parallelism=99999999999",
        "k/pin?period=604801",
        "k/unpin",
        "k/unpin?rate=false",
        f"{'k' * 257}/pause",
    ],
)
def test_malformed_change_is_400(http: httpx.Client, path: str) -> None:
    assert http.post(f"/v2/flowControl/{path}").status_code == 400
