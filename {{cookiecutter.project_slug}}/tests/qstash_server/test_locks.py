"""Lanes are locked before messages, by every door: no two can deadlock."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.db import connection
from django.db import transaction
from qstash import QStash

from django_hookflow.contrib.qstash_server.models import Deduplication
from django_hookflow.contrib.qstash_server.models import Lane
from django_hookflow.contrib.qstash_server.models import Message
from tests.qstash_server.helpers import Destination
from tests.qstash_server.helpers import until

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"

Start = Callable[..., "Future[httpx.Response]"]


@pytest.fixture
def start(http: httpx.Client) -> Iterator[Start]:
    """Send a request that will have to wait."""
    with ThreadPoolExecutor(2) as pool:
        yield lambda *args, **kwargs: pool.submit(
            http.request, *args, **kwargs
        )


def until_somebody_waits() -> None:
    def look() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            return bool(cursor.fetchone()[0])

    until(look, deadline=20)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/v2/messages/{id}"),
        ("DELETE", "/v2/messages?queueName=q"),
        ("DELETE", "/v2/queues/q"),
    ],
)
def test_cancel_waits_for_the_lane_without_a_message(
    client: QStash, http: httpx.Client, start: Start, method: str, path: str
) -> None:
    client.queue.pause("q")
    published = client.message.enqueue(queue="q", url="http://localhost:9/")

    with transaction.atomic():
        Lane.objects.select_for_update().get()
        answer = start(method, path.format(id=published.message_id))
        until_somebody_waits()
        messages = list(Message.objects.select_for_update(nowait=True))

    assert [one.message_id for one in messages] == [published.message_id]
    assert answer.result().status_code == 200
    assert http.get(f"/v2/messages/{published.message_id}").status_code == 404


def test_end_of_an_attempt_waits_for_the_lane_without_a_message(
    client: QStash, destination: Destination
) -> None:
    destination.gate.clear()
    client.message.enqueue(queue="q", url=destination.url)
    destination.wait_for(1)

    with transaction.atomic():
        Lane.objects.select_for_update().get()
        destination.gate.set()
        until_somebody_waits()
        assert Message.objects.select_for_update(nowait=True).get().place

    until(lambda: Message.objects.filter(state="delivered").exists())


def test_deduplication_keys_are_taken_in_their_order(
    http: httpx.Client, start: Start
) -> None:
    items = {
        http.post(
            f"/v2/publish/{url}",
            headers={"Upstash-Deduplication-Id": "one"},
        ).json()["messageId"]: {
            "destination": url,
            "headers": {"Upstash-Deduplication-Id": "one"},
        }
        for url in ("http://localhost:9/a", "http://localhost:9/b")
    }
    rows = Deduplication.objects.order_by("key")
    first, last = (row.message_id for row in rows)

    with transaction.atomic():
        rows.select_for_update().get(message_id=first)
        answer = start("POST", "/v2/batch", json=[items[last], items[first]])
        until_somebody_waits()
        rows.select_for_update(nowait=True).get(message_id=last)

    assert answer.result().json() == [
        {"messageId": last, "deduplicated": True},
        {"messageId": first, "deduplicated": True},
    ]


def test_queue_that_is_deleted_meanwhile_is_made_again(
    client: QStash, destination: Destination, start: Start
) -> None:
    client.queue.upsert("q", parallelism=3)

    with transaction.atomic():
        queue = Lane.objects.select_for_update().get()
        answer = start("POST", f"/v2/enqueue/q/{destination.url}")
        until_somebody_waits()
        queue.delete()

    assert answer.result().status_code == 200
    destination.wait_for(1)
    assert client.queue.get("q").parallelism == 1


def test_victim_of_a_deadlock_begins_again(
    client: QStash, http: httpx.Client, start: Start
) -> None:
    """Somebody who keeps another order, as a migration might."""
    client.queue.pause("q")
    published = client.message.enqueue(queue="q", url="http://localhost:9/")

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL deadlock_timeout = '1min'")
        Message.objects.select_for_update().get()
        answer = start("DELETE", f"/v2/messages/{published.message_id}")
        until_somebody_waits()
        Lane.objects.select_for_update().get()

    assert answer.result().json() == {"cancelled": 1}
