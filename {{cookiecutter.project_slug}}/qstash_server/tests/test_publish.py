"""Publishing with the official client; deliveries byte for byte."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

import httpx
import pytest
from qstash import QStash
from qstash import Receiver
from qstash.errors import QStashError

from qstash_server.clock import ManualClock
from qstash_server.tests.helpers import Answer
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until


def test_published_message_is_delivered_with_the_documented_headers(
    client: QStash, destination: Destination
) -> None:
    url = f"{destination.url}/hook"

    published = client.message.publish(
        url=url,
        body="hello",
        content_type="text/plain",
        headers={"X-Order": "7"},
        label="orders",
    )

    (received,) = destination.wait_for(1)
    headers = dict(received.headers)
    signature = headers.pop("upstash-signature")
    assert (received.method, received.target) == ("POST", "/hook")
    assert received.body == b"hello"
    assert signature.count(".") == 2
    assert headers == {
        "host": destination.url.removeprefix("http://"),
        "user-agent": "Upstash-QStash",
        "content-type": "text/plain",
        "x-order": "7",
        "upstash-message-id": published.message_id,
        "upstash-retried": "0",
        "upstash-region": "EU-CENTRAL-1",
        "upstash-caller-ip": "127.0.0.1",
        "upstash-label": "orders",
        "content-length": "5",
    }
    assert re.fullmatch(r"msg_\w{28}", published.message_id)
    assert published.deduplicated is False


@pytest.mark.parametrize(
    "body", [b"", b'{"a": 1}', b"\xff\x00\xfe", b"x" * 3_000_000]
)
def test_body_arrives_byte_for_byte(
    http: httpx.Client, destination: Destination, body: bytes
) -> None:
    http.post(f"/v2/publish/{destination.url}/", content=body)

    (received,) = destination.wait_for(1)
    assert received.body == body


@pytest.mark.parametrize("body", ["", '{"a": 1}', "grün"])
def test_official_receiver_accepts_the_signature(
    client: QStash, destination: Destination, receiver: Receiver, body: str
) -> None:
    url = f"{destination.url}/hook?a=1&b=2"

    client.message.publish(url=url, body=body)

    (received,) = destination.wait_for(1)
    receiver.verify(
        signature=received.headers["upstash-signature"],
        body=received.body.decode(),
        url=url,
    )


@pytest.mark.parametrize(
    ("asked", "called"),
    [
        ("", "/"),
        ("/", "/"),
        ("/a/", "/a/"),
        ("/a//b", "/a//b"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a%20b", "/a%20b"),
        ("/grün", "/gr%C3%BCn"),
        ("/?a=1&b=2", "/?a=1&b=2"),
        ("?a=1", "/?a=1"),
        ("/?q=a+b", "/?q=a+b"),
        ("/https://inner/x", "/https://inner/x"),
    ],
)
def test_destination_is_called_as_it_was_asked_for(
    client: QStash, destination: Destination, asked: str, called: str
) -> None:
    published = client.message.publish(url=f"{destination.url}{asked}")

    (received,) = destination.wait_for(1)
    stored = client.message.get(published.message_id).url
    assert received.target == called
    assert stored in (
        f"{destination.url}{asked}",
        f"{destination.url}{called}",
    )


def test_settings_in_the_query_are_ours_and_the_rest_is_theirs(
    server_url: str, destination: Destination
) -> None:
    httpx.post(
        f"{server_url}/v2/publish/{destination.url}/?a=1&upstash-method=PUT"
        "&qstash_token=token-of-the-tests&b=%20&Upstash-Retries=7"
    ).raise_for_status()

    (received,) = destination.wait_for(1)
    assert (received.method, received.target) == ("PUT", "/?a=1&b=%20")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_method_is_the_one_asked_for(
    client: QStash, destination: Destination, method: str
) -> None:
    client.message.publish(
        url=destination.url,
        method=method,  # type: ignore[arg-type]
        body="x",
    )

    (received,) = destination.wait_for(1)
    assert (received.method, received.body) == (method, b"x")


def test_get_without_a_body_has_no_length(
    client: QStash, destination: Destination
) -> None:
    client.message.publish(url=destination.url, method="GET")

    (received,) = destination.wait_for(1)
    assert "content-length" not in received.headers


def test_all_headers_are_forwarded_on_request_but_no_secrets(
    http: httpx.Client, destination: Destination
) -> None:
    http.post(
        f"/v2/publish/{destination.url}",
        content=b"{}",
        headers={
            "Upstash-Header-Forward": "true",
            "X-Plain": "1",
            "X-Both": "plain",
            "Upstash-Forward-X-Both": "forwarded",
            "User-Agent": "shop/1",
        },
    )

    (received,) = destination.wait_for(1)
    assert received.headers["x-plain"] == "1"
    assert received.headers["x-both"] == "forwarded"
    assert received.headers["user-agent"] == "shop/1"
    assert "authorization" not in received.headers


def test_system_headers_cannot_be_forwarded(
    http: httpx.Client, destination: Destination
) -> None:
    http.post(
        f"/v2/publish/{destination.url}",
        headers={
            "Upstash-Forward-Upstash-Message-Id": "forged",
            "Upstash-Forward-Host": "elsewhere",
            "Upstash-Forward-Content-Type": "text/forged",
        },
    )

    (received,) = destination.wait_for(1)
    assert received.headers["upstash-message-id"].startswith("msg_")
    assert received.headers["host"] in destination.url
    assert "content-type" not in received.headers


def test_delayed_message_waits_for_its_time(
    client: QStash, destination: Destination, clock: ManualClock
) -> None:
    late = client.message.publish(url=destination.url, delay="1h30m")
    client.message.publish(url=destination.url, body="now")

    destination.wait_for(1)
    message = client.message.get(late.message_id)
    assert message.not_before == message.created_at + 5_400_000
    assert [one.body for one in destination.received] == [b"now"]

    clock.advance(5_400)

    destination.wait_for(2)
    assert destination.received[1].headers["upstash-message-id"] == (
        late.message_id
    )


def test_not_before_wins_over_delay_and_the_past_is_now(
    client: QStash, destination: Destination, clock: ManualClock
) -> None:
    moment = clock.now() // 1000 + 60
    future = client.message.publish(
        url=destination.url, not_before=moment, delay="1d"
    )
    client.message.publish(url=destination.url, not_before=1, delay="1d")

    destination.wait_for(1)

    assert client.message.get(future.message_id).not_before == moment * 1000


def test_message_shows_what_was_published(
    http: httpx.Client, clock: ManualClock, dead_url: str
) -> None:
    published = http.post(
        f"/v2/publish/{dead_url}",
        content=b"hello",
        headers={
            "Content-Type": "text/plain",
            "Upstash-Forward-x-multi": "a",
            "Upstash-Delay": "10s",
            "Upstash-Retries": "5",
            "Upstash-Retry-Delay": "1000 * retried",
            "Upstash-Label": "one, two",
            "Upstash-Callback": "http://localhost/callback",
            "Upstash-Callback-Forward-X-C": "c",
            "Upstash-Failure-Callback": "http://localhost/failure",
            "Upstash-Failure-Callback-Forward-X-F": "f",
            "Upstash-Flow-Control-Key": "shop",
            "Upstash-Flow-Control-Value": "rate=10, parallelism=2",
        },
    ).json()

    message = http.get(f"/v2/messages/{published['messageId']}").json()

    assert message == {
        "messageId": published["messageId"],
        "url": dead_url,
        "method": "POST",
        "maxRetries": 5,
        "notBefore": clock.now() + 10_000,
        "createdAt": clock.now(),
        "header": {"Content-Type": ["text/plain"], "X-Multi": ["a"]},
        "body": "hello",
        "callerIP": "127.0.0.1",
        "callback": "http://localhost/callback",
        "callbackHeader": {"X-C": ["c"]},
        "failureCallback": "http://localhost/failure",
        "failureCallbackHeader": {"X-F": ["f"]},
        "retryDelayExpression": "1000 * retried",
        "label": "one",
        "labels": ["one", "two"],
        "flowControlKey": "shop",
        "rate": 10,
        "parallelism": 2,
        "period": 1,
    }


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", {}),
        ("grün".encode(), {"body": "grün"}),
        (b"\xff\x00", {"bodyBase64": "/wA="}),
    ],
)
def test_body_is_shown_as_text_when_it_is_text(
    http: httpx.Client, dead_url: str, body: bytes, fields: dict[str, str]
) -> None:
    published = http.post(
        f"/v2/publish/{dead_url}",
        content=body,
        headers={"Upstash-Delay": "1d"},
    ).json()

    message = http.get(f"/v2/messages/{published['messageId']}").json()

    shown = {k: v for k, v in message.items() if k.startswith("body")}
    assert shown == fields


def test_finished_message_can_be_read_for_a_minute(
    client: QStash,
    destination: Destination,
    clock: ManualClock,
    log: Callable[[str], list[str]],
) -> None:
    published = client.message.publish(url=destination.url)
    until(lambda: "DELIVERED" in log(published.message_id))

    assert client.message.get(published.message_id).url == destination.url

    clock.advance(61)
    with pytest.raises(QStashError, match=f"{published.message_id} not found"):
        client.message.get(published.message_id)


def test_slow_destination_times_out(
    client: QStash, destination: Destination, log: object
) -> None:
    destination.gate.clear()

    published = client.message.publish(
        url=destination.url, timeout="1s", retries=0
    )

    letter = until(lambda: client.dlq.list().messages)[0]
    assert letter.message_id == published.message_id
    assert (letter.response_status, letter.response_body) == (0, None)


def test_fresh_connection_replaces_one_that_was_closed(
    client: QStash, destination: Destination
) -> None:
    destination.answers += [Answer(headers=(("Connection", "close"),))] * 2

    for _ in range(3):
        count = len(destination.received)
        client.message.publish(url=destination.url)
        destination.wait_for(count + 1)

    assert len(destination.received) == 3


def test_parameters_forward_headers_too(
    http: httpx.Client, destination: Destination
) -> None:
    http.post(
        f"/v2/publish/{destination.url}/x?upstash-forward-x-mine=%C3%BC&a=b"
        f"&upstash-callback={destination.url}/done"
        "&upstash-callback-forward-x-theirs=2"
    ).raise_for_status()

    message, callback = sorted(
        destination.wait_for(2), key=lambda one: one.target, reverse=True
    )
    assert message.target == "/x?a=b"
    assert message.headers["x-mine"].encode("latin-1").decode() == "ü"
    assert callback.headers["x-theirs"] == "2"


@pytest.mark.parametrize("door", ["parameters", "headers", "batch"])
def test_settings_may_hold_letters_of_any_language(
    http: httpx.Client, client: QStash, destination: Destination, door: str
) -> None:
    wanted = {
        "Upstash-Label": "größe",
        "Upstash-Flow-Control-Key": "schlüssel",
        "Upstash-Flow-Control-Value": "rate=9",
        "Upstash-Callback": f"{destination.url}/fertig/ü",
        "Upstash-Forward-X-Mine": "日本",
    }
    url = f"{destination.url}/"

    if door == "parameters":
        low = {name.lower(): value for name, value in wanted.items()}
        http.post(f"/v2/publish/{url}?{urlencode(low)}")
    elif door == "headers":
        sent = {name: value.encode() for name, value in wanted.items()}
        http.post(f"/v2/publish/{url}", headers=sent)  # type: ignore[arg-type]
    else:
        http.post("/v2/batch", json=[{"destination": url, "headers": wanted}])

    message, callback = sorted(
        destination.wait_for(2), key=lambda one: len(one.target)
    )
    shown = {
        name: message.headers[name].encode("latin-1").decode()
        for name in ("upstash-label", "x-mine")
    }
    assert shown == {"upstash-label": "größe", "x-mine": "日本"}
    assert callback.target == "/fertig/%C3%BC"
    assert http.get("/v2/flowControl/schl%C3%BCssel").status_code == 200
    found = http.get("/v2/events", params={"label": "größe"}).json()["events"]
    assert found[0]["label"] == "größe"
