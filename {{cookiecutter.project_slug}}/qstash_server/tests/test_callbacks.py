"""Messages about messages."""

from __future__ import annotations

import json
from base64 import b64decode
from base64 import b64encode
from collections.abc import Callable

import httpx
import pytest
from qstash import QStash
from qstash import Receiver
from qstash.errors import QStashError

from qstash_server.clock import ManualClock
from qstash_server.tests.helpers import Answer
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import Received
from qstash_server.tests.helpers import until


def callbacks(destination: Destination, count: int) -> list[Received]:
    def found() -> list[Received]:
        return [
            one
            for one in destination.received
            if one.target.startswith("/callback")
        ]

    until(lambda: len(found()) >= count)
    return found()


def test_callback_tells_what_the_destination_answered(
    client: QStash, destination: Destination, receiver: Receiver
) -> None:
    answer = Answer(201, (("X-Answer", "yes"),), b"\xff\x00")
    destination.answers += [answer]

    published = client.message.publish(
        url=f"{destination.url}/work",
        body="hello",
        content_type="text/plain",
        callback=f"{destination.url}/callback",
        callback_headers={"Forward-X-Mine": "1"},
    )

    (received,) = callbacks(destination, 1)
    payload = json.loads(received.body)
    created_at = payload.pop("createdAt")
    header = payload.pop("header")
    assert payload == {
        "status": 201,
        "body": b64encode(b"\xff\x00").decode(),
        "maxRetries": 3,
        "sourceMessageId": published.message_id,
        "url": f"{destination.url}/work",
        "method": "POST",
        "sourceHeader": {"Content-Type": ["text/plain"]},
        "sourceBody": b64encode(b"hello").decode(),
        "notBefore": created_at,
        "callerIP": "127.0.0.1",
    }
    assert header["X-Answer"] == ["yes"]
    assert received.headers["content-type"] == "application/json"
    assert received.headers["x-mine"] == "1"
    assert received.headers["upstash-message-id"] != published.message_id
    receiver.verify(
        signature=received.headers["upstash-signature"],
        body=received.body.decode(),
        url=f"{destination.url}/callback",
    )


def test_callback_comes_after_each_attempt_and_retried_is_absent_at_0(
    client: QStash,
    destination: Destination,
    clock: ManualClock,
    retries: Callable[[int], None],
) -> None:
    destination.answers += [Answer(500)]
    client.message.publish(
        url=f"{destination.url}/work", callback=f"{destination.url}/callback"
    )
    callbacks(destination, 1)
    retries(1)

    clock.advance(12)

    first, second = (json.loads(c.body) for c in callbacks(destination, 2))
    assert (first["status"], first.get("retried")) == (500, None)
    assert (second["status"], second["retried"]) == (200, 1)


def test_failure_callback_comes_once_with_the_id_of_the_dead_letter(
    client: QStash, destination: Destination, clock: ManualClock
) -> None:
    destination.answers += [Answer(500, (("Retry-After", "0"),))] * 2

    client.message.publish(
        url=f"{destination.url}/work",
        retries=1,
        failure_callback=f"{destination.url}/callback",
    )

    (received,) = callbacks(destination, 1)
    payload = json.loads(received.body)
    letter = client.dlq.get(payload["dlqId"])
    assert (payload["status"], payload["retried"]) == (500, 1)
    assert letter.message_id == payload["sourceMessageId"]
    assert b64decode(payload["body"]) == b"ok"


def test_callback_of_a_refused_connection_has_status_0(
    client: QStash, destination: Destination, dead_url: str
) -> None:
    client.message.publish(
        url=dead_url, retries=0, callback=f"{destination.url}/callback"
    )

    (received,) = callbacks(destination, 1)
    payload = json.loads(received.body)
    assert (payload["status"], payload["body"]) == (0, "")
    assert payload["header"] == {}


def test_callback_has_its_own_method_and_retries_and_can_be_a_dead_letter(
    http: httpx.Client, client: QStash, destination: Destination
) -> None:
    destination.answers += [Answer(), Answer(500)]

    http.post(
        f"/v2/publish/{destination.url}/work",
        headers={
            "Upstash-Callback": f"{destination.url}/callback",
            "Upstash-Callback-Method": "PUT",
            "Upstash-Callback-Retries": "0",
            "Upstash-Callback-Timeout": "5s",
            "Upstash-Callback-Retry-Delay": "1000",
        },
    )

    (received,) = callbacks(destination, 1)
    (letter,) = until(lambda: client.dlq.list().messages)
    assert received.method == "PUT"
    assert letter.url == f"{destination.url}/callback"
    assert letter.max_retries == 0


def test_delayed_callback_is_refused(http: httpx.Client) -> None:
    answer = http.post(
        "/v2/publish/http://localhost/",
        headers={
            "Upstash-Callback": "http://localhost/callback",
            "Upstash-Callback-Delay": "5s",
        },
    )

    assert answer.status_code == 400
    assert answer.json() == {
        "error": "upstash-callback-delay: a callback has no delay"
    }


def test_callback_url_is_guarded_too(client: QStash) -> None:
    with pytest.raises(QStashError, match="upstash-callback: invalid url"):
        client.message.publish(
            url="http://localhost/", callback="http://10.0.0.1/"
        )
