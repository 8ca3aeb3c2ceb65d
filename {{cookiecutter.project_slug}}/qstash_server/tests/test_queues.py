"""First in, first out, so many at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from qstash import QStash
from qstash.errors import QStashError

from qstash_server.clock import ManualClock
from qstash_server.conf import Config
from qstash_server.conf import Quotas
from qstash_server.tests.helpers import Answer
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until

Retries = Callable[[int], None]


def enqueue(
    client: QStash, destination: Destination, *bodies: str, **options: object
) -> list[str]:
    return [
        client.message.enqueue(  # type: ignore[union-attr]
            queue="q",
            url=f"{destination.url}/work",
            body=body,
            **options,  # type: ignore[arg-type]
        ).message_id
        for body in bodies
    ]


def bodies(destination: Destination) -> list[str]:
    return [one.body.decode() for one in destination.received]


def test_messages_are_delivered_in_order_one_after_the_other(
    client: QStash, destination: Destination
) -> None:
    wanted = [str(n) for n in range(20)]

    enqueue(client, destination, *wanted)

    destination.wait_for(20)
    assert bodies(destination) == wanted


def test_failing_head_holds_the_queue_until_it_is_given_up(
    client: QStash,
    destination: Destination,
    clock: ManualClock,
    retries: Retries,
) -> None:
    destination.answers += [Answer(500)]
    enqueue(client, destination, "head", "next", retries=1)
    retries(1)
    other = client.message.publish(url=destination.url, body="other")
    destination.wait_for(2)
    assert bodies(destination) == ["head", "other"]

    destination.answers += [Answer(500)]
    clock.advance(12)

    destination.wait_for(4)
    assert bodies(destination) == ["head", "other", "head", "next"]
    assert other


def test_callback_holds_the_queue_too(
    client: QStash,
    destination: Destination,
    clock: ManualClock,
    retries: Retries,
) -> None:
    destination.answers += [Answer(200), Answer(500)]
    enqueue(
        client,
        destination,
        "first",
        "second",
        callback=f"{destination.url}/callback",
    )
    destination.wait_for(2)
    targets = [one.target for one in destination.received]
    assert targets == ["/work", "/callback"]
    retries(1)

    clock.advance(12)

    destination.wait_for(5)
    targets = [one.target for one in destination.received]
    assert targets == ["/work", "/callback", "/callback", "/work", "/callback"]


def test_callbacks_of_one_message_hold_one_place_together(
    client: QStash, destination: Destination
) -> None:
    client.queue.upsert("q", parallelism=2)
    destination.answers += [Answer(500)]
    told = Destination()
    told.gate.clear()
    try:
        client.message.enqueue(
            queue="q",
            url=destination.url,
            retries=0,
            callback=f"{told.url}/each",
            failure_callback=f"{told.url}/failure",
        )
        told.wait_for(2)

        client.message.enqueue(queue="q", url=destination.url)

        destination.wait_for(2)
    finally:
        told.close()


def test_parallelism_is_how_many_run_at_once(
    client: QStash, destination: Destination
) -> None:
    client.queue.upsert("q", parallelism=3)
    destination.gate.clear()

    enqueue(client, destination, *"abcde")

    destination.wait_for(3)
    assert client.queue.get("q").lag == 5
    assert set(bodies(destination)) == set("abc")
    destination.gate.set()
    destination.wait_for(5)
    until(lambda: client.queue.get("q").lag == 0)


def test_paused_queue_accepts_and_holds(
    client: QStash, destination: Destination
) -> None:
    client.queue.upsert("q")
    client.queue.pause("q")
    enqueue(client, destination, "a", "b")
    client.message.publish(url=destination.url, body="other")
    destination.wait_for(1)
    assert bodies(destination) == ["other"]
    assert client.queue.get("q").paused

    client.queue.resume("q")

    destination.wait_for(3)
    assert bodies(destination) == ["other", "a", "b"]


def test_delayed_head_does_not_block_the_rest(
    http: httpx.Client, destination: Destination, clock: ManualClock
) -> None:
    path = f"/v2/enqueue/q/{destination.url}"
    http.post(path, content=b"late", headers={"Upstash-Delay": "1m"})
    http.post(path, content=b"soon")
    destination.wait_for(1)

    clock.advance(61)

    destination.wait_for(2)
    assert bodies(destination) == ["soon", "late"]


def test_cancelled_message_frees_its_place(
    client: QStash, destination: Destination, retries: Retries
) -> None:
    destination.answers += [Answer(500)]
    head, _ = enqueue(client, destination, "head", "next")
    retries(1)

    client.message.cancel(head)

    destination.wait_for(2)
    assert bodies(destination) == ["head", "next"]


def test_queue_is_made_shown_changed_and_deleted(
    client: QStash, clock: ManualClock
) -> None:
    client.queue.upsert("orders", parallelism=2, paused=True)
    clock.advance(5)
    client.queue.upsert("orders", parallelism=3, paused=True)
    client.queue.upsert("mails")

    orders, mails = client.queue.get("orders"), client.queue.get("mails")
    assert [queue.name for queue in client.queue.list()] == [
        "mails",
        "orders",
    ]
    assert (orders.parallelism, orders.paused, orders.lag) == (3, True, 0)
    assert (mails.parallelism, mails.paused) == (1, False)
    assert orders.updated_at == orders.created_at + 5000
    client.queue.delete("orders")
    client.queue.delete("orders")
    with pytest.raises(QStashError, match=r"404.*queue orders not found"):
        client.queue.get("orders")


def test_deleted_queue_takes_its_messages_along(
    client: QStash, destination: Destination
) -> None:
    client.queue.upsert("q")
    client.queue.pause("q")
    (message_id,) = enqueue(client, destination, "a")

    client.queue.delete("q")

    with pytest.raises(QStashError, match="404"):
        client.message.get(message_id)


def test_deleted_queue_takes_its_head_along_between_two_attempts(
    client: QStash,
    destination: Destination,
    clock: ManualClock,
    retries: Callable[[int], None],
    log: Callable[[str], list[str]],
) -> None:
    destination.answers += [Answer(500)]
    head = client.message.enqueue(queue="q", url=destination.url)
    retries(1)

    client.queue.delete("q")
    clock.advance(3600)

    client.message.publish(url=f"{destination.url}/other")
    assert [one.target for one in destination.wait_for(2)] == ["/", "/other"]
    assert log(head.message_id)[-2:] == ["CANCEL_REQUESTED", "CANCELED"]


def test_message_shows_its_queue(
    client: QStash, destination: Destination
) -> None:
    client.queue.upsert("q")
    client.queue.pause("q")

    (message_id,) = enqueue(client, destination, "a")

    assert client.message.get(message_id).queue == "q"


def test_dead_letter_of_a_queue_goes_through_the_queue_again(
    client: QStash, http: httpx.Client, destination: Destination
) -> None:
    destination.answers += [Answer(500)]
    enqueue(client, destination, "a", retries=0)
    (letter,) = until(lambda: client.dlq.list().messages)
    client.queue.pause("q")

    http.post(f"/v2/dlq/retry/{letter.dlq_id}")

    assert client.queue.get("q").lag == 1


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ([], "the body is not a JSON object"),
        ({"queueName": "a b"}, "queueName: 'a b' may only hold letters,"),
        ({"parallelism": 1}, "queueName: None may only hold letters,"),
        ({"queueName": "q", "parallelism": 0}, "parallelism: 0 is not a"),
        ({"queueName": "q", "parallelism": True}, "parallelism: True is not"),
        ({"queueName": "q", "paused": 1}, "paused: 1 is neither true nor"),
    ],
)
def test_malformed_queue_is_400(
    http: httpx.Client, body: object, error: str
) -> None:
    answer = http.post("/v2/queues", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(error)


def test_malformed_name_in_the_path_is_400(http: httpx.Client) -> None:
    assert http.get("/v2/queues/a%20b").status_code == 400
    assert http.get("/v2/queues/a%00b").status_code == 400
    answer = http.post("/v2/enqueue/a%20b/http://localhost/")
    assert answer.status_code == 400


class TestQuotas:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        quotas = Quotas(max_queues=1, max_queue_parallelism=2)
        return replace(config, quotas=quotas)

    def test_too_many_queues_and_too_much_parallelism_are_412(
        self, client: QStash
    ) -> None:
        client.queue.upsert("one", parallelism=2)

        with pytest.raises(QStashError, match=r"412.*maxParallelism"):
            client.queue.upsert("one", parallelism=3)
        with pytest.raises(QStashError, match=r"412.*maxQueues"):
            client.queue.upsert("two")
        with pytest.raises(QStashError, match=r"412.*maxQueues"):
            client.message.enqueue(queue="two", url="http://localhost/")

    def test_every_door_that_makes_queues_knows_the_quota(
        self, client: QStash, http: httpx.Client
    ) -> None:
        url = "http://localhost:9/"
        items = [{"destination": url, "queue": name} for name in "abb"]
        client.queue.pause("a")

        answers = http.post("/v2/batch", json=items).json()
        scheduled = http.post(
            f"/v2/schedules/{url}",
            headers={"Upstash-Cron": "* * * * *", "Upstash-Queue-Name": "b"},
        )

        assert [list(one) for one in answers] == [
            ["messageId"],
            ["error"],
            ["error"],
        ]
        assert scheduled.status_code == 412
        for change in (client.queue.pause, client.queue.resume):
            with pytest.raises(QStashError, match=r"412.*maxQueues"):
                change("b")
        assert [one.name for one in client.queue.list()] == ["a"]
