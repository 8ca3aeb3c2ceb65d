"""The official Python client, blocking and asynchronous: each operation."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from qstash import AsyncQStash
from qstash import QStash
from qstash import Receiver
from qstash.errors import QStashError

from qstash_server.server import Server
from qstash_server.tests.conftest import TOKEN
from qstash_server.tests.helpers import Answer
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until

APIS = (
    "message",
    "url_group",
    "queue",
    "schedule",
    "signing_key",
    "log",
    "dlq",
    "flow_control",
)
FAR = "http://localhost:9/never"


class Both:
    """One way to call both clients, which notes what was called."""

    def __init__(self, client: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._client, self._loop = client, loop
        self.called: set[str] = set()

    def __call__(self, name: str, *args: Any, **kwargs: Any) -> Any:
        api, _, method = name.partition(".")
        self.called.add(name)
        function = getattr(getattr(self._client, api), method)
        result = function(*args, **kwargs)
        if inspect.isawaitable(result):
            return self._loop.run_until_complete(result)
        return result

    def refused(self, name: str, *args: Any) -> bool:
        try:
            self(name, *args)
        except QStashError as error:
            return "status: 404" in str(error)
        return False

    def operations(self) -> set[str]:
        """All that the client can do."""
        return {
            f"{api}.{name}"
            for api in APIS
            for name, _ in inspect.getmembers(
                getattr(self._client, api), inspect.ismethod
            )
            if not name.startswith("_")
        }


@pytest.fixture(params=[QStash, AsyncQStash], ids=["blocking", "asynchronous"])
def both(request: Any, server: Server) -> Iterator[Both]:
    loop = asyncio.new_event_loop()
    client = request.param(TOKEN, base_url=server.url)
    yield Both(client, loop)
    inner = client.http._client
    if request.param is AsyncQStash:
        loop.run_until_complete(inner.aclose())
    else:
        inner.close()
    loop.close()


def test_each_operation_answers_what_the_client_expects(
    both: Both, destination: Destination, receiver: Receiver
) -> None:
    publishing(both, destination)
    groups(both, destination)
    queues(both, destination)
    schedules(both)
    dead_letters(both, destination)
    flow_control(both)
    cancelling(both)
    logs(both)
    keys(both)

    assert both.called == both.operations()
    for one in destination.received:
        receiver.verify(
            signature=one.headers["upstash-signature"],
            body=one.body.decode(),
            url=f"{destination.url}{one.target}",
        )


def publishing(both: Both, destination: Destination) -> None:
    url = f"{destination.url}/publish?a=1&b=2"
    one = both("message.publish", url=url, body="one", label="py")
    both("message.publish_json", url=url, body={"two": 2})
    both("message.batch", [{"url": url, "body": "three"}])
    both("message.batch_json", [{"url": url, "body": {"four": 4}}])
    destination.wait_for(4)
    message = both("message.get", one.message_id)
    assert (message.url, message.body, message.label) == (url, "one", "py")
    bodies = {received.body for received in destination.received}
    assert bodies == {b"one", b'{"two": 2}', b"three", b'{"four": 4}'}


def groups(both: Both, destination: Destination) -> None:
    endpoints = [{"url": f"{destination.url}/{n}"} for n in "ab"]
    both("url_group.upsert_endpoints", "g", endpoints)
    assert both("url_group.get", "g").name == "g"
    assert [group.name for group in both("url_group.list")] == ["g"]
    sent = both("message.publish", url_group="g", body="to all")
    assert [one.url for one in sent] == [one["url"] for one in endpoints]
    both("url_group.remove_endpoints", "g", endpoints[:1])
    assert len(both("url_group.get", "g").endpoints) == 1
    both("url_group.delete", "g")
    assert both.refused("url_group.get", "g")


def queues(both: Both, destination: Destination) -> None:
    both("queue.upsert", "q", parallelism=2)
    both("queue.pause", "q")
    url = f"{destination.url}/queue"
    both("message.enqueue", queue="q", url=url, body="x")
    both("message.enqueue_json", queue="q", url=url, body={"x": 1})
    queue = both("queue.get", "q")
    assert (queue.parallelism, queue.paused, queue.lag) == (2, True, 2)
    assert [one.name for one in both("queue.list")] == ["q"]
    both("queue.resume", "q")
    until(lambda: both("queue.get", "q").lag == 0)
    both("queue.delete", "q")
    assert both.refused("queue.get", "q")


def schedules(both: Both) -> None:
    one = both("schedule.create", destination=FAR, cron="* * * * *")
    two = both(
        "schedule.create_json",
        destination=FAR,
        cron="CRON_TZ=Europe/Berlin 0 9 * * *",
        body={"a": 1},
        schedule_id="mine",
    )
    assert two == "mine"
    both("schedule.pause", one)
    assert both("schedule.get", one).paused
    both("schedule.resume", one)
    found = {s.schedule_id: s.paused for s in both("schedule.list")}
    assert found == {one: False, "mine": False}
    both("schedule.delete", one)
    both("schedule.delete", two)
    assert both.refused("schedule.get", one)


def dead_letters(both: Both, destination: Destination) -> None:
    until(lambda: not destination.answers)
    for _ in range(3):
        destination.answers += [Answer(500, body=b"broken")]
        both("message.publish", url=f"{destination.url}/fail", retries=0)
    until(lambda: len(both("dlq.list").messages) == 3)
    one, two, three = both("dlq.list", count=3).messages
    assert both("dlq.get", one.dlq_id).response_body == "broken"
    both("dlq.delete", one.dlq_id)
    assert both("dlq.delete_many", [two.dlq_id, three.dlq_id]) == 2
    assert both.refused("dlq.get", one.dlq_id)


def flow_control(both: Both) -> None:
    both(
        "message.publish",
        url=FAR,
        delay="1d",
        flow_control={"key": "k", "rate": 5, "period": "2m"},
    )
    both("flow_control.pause", "k")
    both("flow_control.pin", "k", {"parallelism": 3})
    both("flow_control.reset_rate", "k")
    key = both("flow_control.get", "k")
    assert (key.rate_max, key.rate_period) == (5, 120)
    assert (key.is_paused, key.is_pinned_parallelism) == (True, True)
    assert key.wait_list_size == 1
    both("flow_control.unpin", "k", {"parallelism": True})
    both("flow_control.resume", "k")
    assert both("flow_control.get_global_parallelism").parallelism_max == 32


def cancelling(both: Both) -> None:
    ids = [
        both("message.publish", url=FAR, delay="1d").message_id
        for _ in range(3)
    ]
    both("message.cancel", ids[0])
    assert both.refused("message.get", ids[0])
    assert both("message.cancel_many", ids[:2]) == 1
    assert both("message.cancel_all") == 2


def logs(both: Both) -> None:
    log = both("log.list", count=1, filter={"label": "py"})
    assert (log.logs[0].state.value, log.logs[0].label) == ("DELIVERED", "py")
    older = both("log.list", cursor=log.cursor, filter={"label": "py"})
    assert [one.state.value for one in older.logs] == ["ACTIVE", "CREATED"]
    assert older.cursor is None


def keys(both: Both) -> None:
    before = both("signing_key.get")
    assert both("signing_key.rotate").current == before.next
