"""Lanes are locked before messages, by every door: no two can deadlock."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from typing import TypeVar

import httpx
import pytest
from django.db import connection
from django.db import transaction
from qstash import QStash

from qstash_server.clock import ManualClock
from qstash_server.conf import Config
from qstash_server.models import Deduplication
from qstash_server.models import Lane
from qstash_server.models import Message
from qstash_server.models import Schedule
from qstash_server.store import purge
from qstash_server.store import schedules
from qstash_server.store.attempts import Shares
from qstash_server.store.attempts import claim
from qstash_server.store.writing import writing
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"

FAR = "http://localhost:9/"
MINUTE = 61_000  # milliseconds, and a bit

Start = Callable[..., "Future[httpx.Response]"]
T = TypeVar("T")


@pytest.fixture
def start(http: httpx.Client) -> Iterator[Start]:
    """Send a request that will have to wait."""
    with ThreadPoolExecutor(2) as pool:
        yield lambda *args, **kwargs: pool.submit(
            http.request, *args, **kwargs
        )


def until_a_connection_waits() -> None:
    def look() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            return bool(cursor.fetchone()[0])

    until(look)


def without_waiting(job: Callable[[], T]) -> T:
    """Run `job` on another connection, which must not wait for a lock."""

    def work() -> T:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '20s'")
            return job()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def claimed(now: int, *, lanes: int, free: int) -> list[str]:
    shares = Shares(lanes=lanes, free=free, besides=())
    with writing():
        found = claim("another", now, shares).deliveries
    return [one.message_id for one in found]


def test_claim_passes_by_a_locked_message(
    client: QStash, clock: ManualClock
) -> None:
    held, free = (
        client.message.publish(url=FAR, delay="1m").message_id
        for _ in range(2)
    )
    now = clock.now() + MINUTE

    with transaction.atomic():
        Message.objects.select_for_update().get(message_id=held)
        taken = without_waiting(lambda: claimed(now, lanes=0, free=2))

    assert taken == [free]
    assert claimed(now, lanes=0, free=2) == [held]


def test_claim_passes_by_a_locked_lane(
    client: QStash, clock: ManualClock
) -> None:
    held, free = (
        client.message.publish(
            url=FAR, delay="1m", flow_control={"key": key, "parallelism": 1}
        ).message_id
        for key in "ab"
    )
    # The dispatcher has looked at both, and holds neither.
    until(lambda: not Lane.objects.filter(wake_at__lte=clock.now()).exists())
    now = clock.now() + MINUTE

    with transaction.atomic():
        Lane.objects.select_for_update().get(name="a")
        taken = without_waiting(lambda: claimed(now, lanes=2, free=0))

    assert taken == [free]
    assert claimed(now, lanes=2, free=0) == [held]


def test_locked_schedule_does_not_hold_up_the_next(
    client: QStash, clock: ManualClock, config: Config
) -> None:
    for name in "ab":
        client.schedule.create(
            destination=FAR + name, cron="* * * * *", schedule_id=name
        )
    now = clock.now() + MINUTE

    with transaction.atomic():
        Schedule.objects.select_for_update().get(schedule_id="a")
        without_waiting(lambda: schedules.produce(now, config))

    assert [one.url for one in Message.objects.all()] == [f"{FAR}b"]


def test_locked_old_row_is_left_for_the_next_time(
    http: httpx.Client, clock: ManualClock, config: Config
) -> None:
    for name in "ab":
        headers = {"Upstash-Deduplication-Id": name, "Upstash-Delay": "1h"}
        http.post(f"/v2/publish/{FAR}", headers=headers)
    now = clock.now() + config.deduplicate_for
    held = Deduplication.objects.order_by("pk")[0]

    with transaction.atomic():
        Deduplication.objects.select_for_update().get(pk=held.pk)
        without_waiting(lambda: purge.old(now, config))
        assert Deduplication.objects.get() == held


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
        until_a_connection_waits()
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
        until_a_connection_waits()
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
        until_a_connection_waits()
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
        until_a_connection_waits()
        queue.delete()

    assert answer.result().status_code == 200
    destination.wait_for(1)
    assert client.queue.get("q").parallelism == 1


@pytest.fixture
def patient(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make new connections look for deadlocks late.

    The server must find its deadlock, and begins to wait before the other
    side, which has this long to come.
    """

    options = settings.DATABASES["default"]["OPTIONS"]
    monkeypatch.setitem(options, "options", "-c deadlock_timeout=8s")


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_victim_of_a_deadlock_begins_again(
    client: QStash, http: httpx.Client, start: Start
) -> None:
    """A transaction with another order of locks, as a migration may have."""
    client.queue.pause("q")
    published = client.message.enqueue(queue="q", url="http://localhost:9/")

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL deadlock_timeout = '4min'")
        Message.objects.select_for_update().get()
        answer = start("DELETE", f"/v2/messages/{published.message_id}")
        until_a_connection_waits()
        Lane.objects.select_for_update().get()

    assert answer.result().json() == {"cancelled": 1}
