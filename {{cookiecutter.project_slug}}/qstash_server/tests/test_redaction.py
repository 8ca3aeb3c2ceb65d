"""Secrets that the views of the API must not show."""

from __future__ import annotations

from base64 import b64decode
from hashlib import sha256

import httpx
import pytest
from qstash import QStash

from qstash_server.clock import ManualClock
from qstash_server.tests.helpers import Answer
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until

HIDDEN_BODY = f"REDACTED:{sha256(b'secret').hexdigest()}"
HIDDEN_HEADER = f"REDACTED:{sha256(b'hush').hexdigest()}"


@pytest.mark.parametrize(
    ("fields", "body", "mine", "other"),
    [
        ("body", HIDDEN_BODY, "hush", "loud"),
        ("header[x-mine]", "secret", HIDDEN_HEADER, "loud"),
        ("body, headers[X-Mine]", HIDDEN_BODY, HIDDEN_HEADER, "loud"),
    ],
)
def test_named_fields_are_hashes_in_every_view(
    http: httpx.Client,
    destination: Destination,
    fields: str,
    body: str,
    mine: str,
    other: str,
) -> None:
    destination.answers += [Answer(500)]
    published = http.post(
        f"/v2/publish/{destination.url}",
        content=b"secret",
        headers={
            "Upstash-Redact-Fields": fields,
            "Upstash-Forward-X-Mine": "hush",
            "Upstash-Forward-X-Other": "loud",
            "Upstash-Retries": "0",
        },
    ).json()
    until(lambda: http.get("/v2/dlq").json()["messages"])

    message = http.get(f"/v2/messages/{published['messageId']}").json()
    (letter,) = http.get("/v2/dlq").json()["messages"]
    log = http.get("/v2/events").json()["events"][0]

    headers = {"X-Mine": [mine], "X-Other": [other]}
    assert message["body"] == letter["body"] == body
    assert b64decode(log["body"]).decode() == body
    assert message["header"] == letter["header"] == log["header"] == headers


@pytest.mark.parametrize("fields", ["header", "headers"])
def test_all_headers_may_be_hidden(http: httpx.Client, fields: str) -> None:
    published = http.post(
        "/v2/publish/http://localhost/",
        headers={
            "Upstash-Redact-Fields": fields,
            "Upstash-Forward-X-Mine": "hush",
            "Upstash-Delay": "1d",
        },
    ).json()

    message = http.get(f"/v2/messages/{published['messageId']}").json()

    assert message["header"] == {"X-Mine": [HIDDEN_HEADER]}


def test_destination_gets_the_original_also_after_a_retry_by_hand(
    client: QStash, http: httpx.Client, destination: Destination
) -> None:
    destination.answers += [Answer(500)]
    client.message.publish(
        url=destination.url,
        body="secret",
        headers={"X-Mine": "hush"},
        retries=0,
        redact={"body": True, "header": ["X-Mine"]},
    )
    (letter,) = until(lambda: client.dlq.list().messages)

    http.post(f"/v2/dlq/retry/{letter.dlq_id}")

    for received in destination.wait_for(2):
        assert received.body == b"secret"
        assert received.headers["x-mine"] == "hush"


def test_schedule_hides_and_its_messages_hide_too(
    client: QStash,
    http: httpx.Client,
    destination: Destination,
    clock: ManualClock,
) -> None:
    schedule_id = client.schedule.create(
        destination=destination.url,
        cron="* * * * *",
        body="secret",
        redact={"body": True},
    )

    clock.advance(60)

    (received,) = destination.wait_for(1)
    message_id = received.headers["upstash-message-id"]
    assert received.body == b"secret"
    assert client.schedule.get(schedule_id).body == HIDDEN_BODY
    assert client.message.get(message_id).body == HIDDEN_BODY


def test_failed_callback_hides_its_content(
    client: QStash, destination: Destination, dead_url: str
) -> None:
    client.message.publish(
        url=destination.url,
        body="secret",
        callback=dead_url,
        retries=0,
        redact={"body": True},
    )

    (letter,) = until(lambda: client.dlq.list().messages)

    assert letter.url == dead_url
    assert letter.body.startswith("REDACTED:")
