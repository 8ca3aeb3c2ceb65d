"""Publishing the same thing twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from qstash import QStash
from qstash.errors import QStashError

from qstash_server.clock import ManualClock
from qstash_server.tests.helpers import Destination


def test_same_id_within_ten_minutes_is_the_first_message(
    http: httpx.Client, destination: Destination, clock: ManualClock
) -> None:
    headers = {"Upstash-Deduplication-Id": "order-7"}
    path = f"/v2/publish/{destination.url}"

    first = http.post(path, headers=headers)
    clock.advance(599)
    second = http.post(path, headers=headers)
    clock.advance(2)
    third = http.post(path, headers=headers)

    message_id = first.json()["messageId"]
    assert (first.status_code, first.json()) == (
        200,
        {"messageId": message_id},
    )
    assert (second.status_code, second.json()) == (
        202,
        {"messageId": message_id, "deduplicated": True},
    )
    assert third.status_code == 200
    assert third.json()["messageId"] != message_id
    assert len(destination.wait_for(2)) == 2


def test_same_id_to_another_url_is_another_message(
    client: QStash, destination: Destination
) -> None:
    for path in ("/a", "/b"):
        published = client.message.publish(
            url=f"{destination.url}{path}", deduplication_id="one"
        )
        assert not published.deduplicated

    assert len(destination.wait_for(2)) == 2


def test_content_is_url_body_type_and_forwarded_headers(
    client: QStash, destination: Destination
) -> None:
    def publish(path: str = "/", body: str = "x", header: str = "1") -> bool:
        return client.message.publish(
            url=f"{destination.url}{path}",
            body=body,
            headers={"X-Header": header},
            content_based_deduplication=True,
        ).deduplicated

    assert not publish()
    assert publish()
    assert not publish(path="/other")
    assert not publish(body="y")
    assert not publish(header="2")
    assert len(destination.wait_for(4)) == 4


def test_publishers_at_the_same_moment_get_the_same_message(
    client: QStash, destination: Destination
) -> None:
    def publish(_: int) -> str:
        return client.message.publish(
            url=destination.url, deduplication_id="race"
        ).message_id

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(publish, range(16)))

    assert len(ids) == 1


def test_colon_is_refused(client: QStash) -> None:
    with pytest.raises(
        QStashError, match="DeduplicationId cannot contain ':'"
    ):
        client.message.publish(url="http://localhost/", deduplication_id="a:b")
