"""Destinations that misbehave, storms, and a database that goes away."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from base64 import b64decode
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from qstash import QStash

from qstash_server.clock import ManualClock
from qstash_server.conf import Config
from qstash_server.models import Message
from qstash_server.models import Schedule
from qstash_server.server import Server
from qstash_server.store.attempts import Shares
from qstash_server.store.attempts import claim
from qstash_server.store.attempts import release
from qstash_server.store.writing import writing
from qstash_server.tests.conftest import TOKEN
from qstash_server.tests.helpers import DEADLINE
from qstash_server.tests.helpers import Answer
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until

STORM = 10_000  # messages


@dataclass
class RawDestination:
    """Says fixed bytes on each connection, then closes it."""

    says: list[bytes] = field(default_factory=list)
    reset: bool = False
    stays_open: bool = False
    closes_late: bool = False  # only when a second request has come
    taken: int = 0

    def __post_init__(self) -> None:
        self._open: list[socket.socket] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for peer in self._open:
            peer.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            self._peer = peer
            with peer:
                self._answer(peer)

    def _answer(self, peer: socket.socket) -> None:
        peer.recv(65536)
        self.taken += 1
        try:
            for data in self.says:
                peer.sendall(data)
        except OSError:
            return  # the server has heard enough
        if self.closes_late:
            peer.recv(65536)
        if self.stays_open:
            self._open.append(peer.dup())
        if self.reset:
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@pytest.fixture
def raw() -> Iterator[Callable[..., RawDestination]]:
    made: list[RawDestination] = []

    def make(*says: bytes, **options: bool) -> RawDestination:
        made.append(RawDestination(list(says), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("says", "reset", "error"),
    [
        ((), False, "connection closed without an answer"),
        ((), True, "Connection reset by peer"),
        ((b"SSH-2.0-OpenSSH\r\n\r\n",), False, "illegal status line"),
        ((HEAD + b"Content-Length: 9\r\n\r\nhalf",), False, "peer closed"),
        ((HEAD + b"X: " + b"y" * 200_000,), False, "too long"),
        ((HEAD + b"Content-Length: x\r\n\r\n",), False, "Content-Length"),
    ],
)
def test_broken_answer_is_a_failed_attempt(
    http: httpx.Client,
    client: QStash,
    raw: Callable[..., RawDestination],
    says: tuple[bytes, ...],
    reset: bool,
    error: str,
) -> None:
    broken = raw(*says, reset=reset)

    client.message.publish(url=broken.url, retries=0)

    until(lambda: client.dlq.list().messages)
    query = {"state": "ERROR"}
    (event,) = http.get("/v2/events", params=query).json()["events"]
    assert error in event["error"]


def test_information_before_the_answer_is_skipped(
    client: QStash,
    http: httpx.Client,
    raw: Callable[..., RawDestination],
) -> None:
    polite = raw(b"HTTP/1.1 103 Early Hints\r\n\r\n" + HEAD + b"\r\nok")

    client.message.publish(url=polite.url)

    query = {"state": "DELIVERED"}
    until(lambda: http.get("/v2/events", params=query).json()["events"])


def test_endless_answer_is_cut_and_still_a_success(
    client: QStash,
    http: httpx.Client,
    raw: Callable[..., RawDestination],
    config: Config,
    destination: Destination,
) -> None:
    chatty = raw(
        HEAD + b"Content-Length: 52428800\r\n\r\n", *[b"x" * 1_048_576] * 50
    )

    client.message.publish(
        url=chatty.url, callback=f"{destination.url}/callback"
    )

    (callback,) = destination.wait_for(1)
    payload = json.loads(callback.body)
    assert payload["status"] == 200
    assert len(b64decode(payload["body"])) == config.max_response
    query = {"state": "DELIVERED", "url": chatty.url}
    (event,) = http.get("/v2/events", params=query).json()["events"]
    assert len(b64decode(event["responseBody"])) == 64 * 1024


def test_large_body_to_one_that_answers_without_reading(
    http: httpx.Client, client: QStash, raw: Callable[..., RawDestination]
) -> None:
    hasty = raw(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

    http.post(
        f"/v2/publish/{hasty.url}",
        content=b"x" * 9_000_000,
        headers={"Upstash-Retries": "0"},
    ).raise_for_status()

    assert until(lambda: client.dlq.list().messages)


def test_answer_before_the_body_is_read_counts(
    http: httpx.Client, client: QStash, raw: Callable[..., RawDestination]
) -> None:
    hasty = raw(
        b"HTTP/1.1 489 No\r\nUpstash-NonRetryable-Error: true\r\n"
        b"Content-Length: 0\r\n\r\n",
        stays_open=True,
    )

    http.post(
        f"/v2/publish/{hasty.url}", content=b"x" * 9_000_000
    ).raise_for_status()

    (letter,) = until(lambda: client.dlq.list().messages)
    assert letter.response_status == 489


def test_bytes_too_many_are_not_taken_for_the_next_answer(
    http: httpx.Client, client: QStash, raw: Callable[..., RawDestination]
) -> None:
    answer = HEAD + b"Content-Length: 2\r\n\r\nok"
    talkative = raw(answer + b"HTTP/1.1 500 No\r\n\r\n", stays_open=True)

    for count in range(1, 4):
        client.message.publish(url=talkative.url)
        query = {"state": ["DELIVERED", "ERROR"]}
        events = until(
            lambda wanted=count, query=query: (  # type: ignore[misc]
                len(
                    found := http.get("/v2/events", params=query).json()[
                        "events"
                    ]
                )
                == wanted
                and found
            )
        )

    assert [one["state"] for one in events] == ["DELIVERED"] * 3


def test_connection_is_not_kept_when_the_end_is_told_twice(
    client: QStash, http: httpx.Client, raw: Callable[..., RawDestination]
) -> None:
    doubtful = raw(
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n"
        b"2\r\nok\r\n0\r\n\r\n",
        stays_open=True,
    )

    for count in (1, 2):
        client.message.publish(url=doubtful.url)
        query = {"state": "DELIVERED"}
        until(
            lambda wanted=count, query=query: (  # type: ignore[misc]
                len(http.get("/v2/events", params=query).json()["events"])
                == wanted
            )
        )

    assert doubtful.taken == 2


@pytest.mark.parametrize("late", [False, True])
def test_kept_connection_that_was_closed_meanwhile_costs_no_attempt(
    client: QStash,
    http: httpx.Client,
    raw: Callable[..., RawDestination],
    late: bool,
) -> None:
    # It promises to keep the connection and closes it: at once, or when
    # the next request has been sent.
    answer = HEAD + b"Content-Length: 2\r\n\r\nok"
    forgetful = raw(answer, closes_late=late)

    def delivered() -> int:
        answer = http.get("/v2/events", params={"state": "DELIVERED"})
        return len(answer.json()["events"])

    for count in range(1, 6):
        client.message.publish(url=forgetful.url)
        until(lambda wanted=count: delivered() == wanted)  # type: ignore[misc]

    errors = http.get("/v2/events", params={"state": "ERROR"}).json()
    assert errors["events"] == []
    assert forgetful.taken == 5


class TestImpatient:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, keep_seconds=0.1)

    def test_idle_connection_is_closed(self, client: QStash) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            client.message.publish(url=f"http://127.0.0.1:{port}/")
            peer, _ = listening.accept()
            with peer:
                peer.settimeout(DEADLINE)
                peer.recv(65536)
                peer.sendall(HEAD + b"Content-Length: 2\r\n\r\nok")

                assert peer.recv(65536) == b""


def test_hanging_destination_does_not_hold_up_the_others(
    client: QStash, destination: Destination
) -> None:
    hanging = Destination()
    hanging.gate.clear()
    try:
        for _ in range(10):
            client.message.publish(url=hanging.url)
        hanging.wait_for(10)

        client.message.publish(url=destination.url)

        destination.wait_for(1)
    finally:
        hanging.close()


def test_hanging_look_ups_of_names_do_not_hold_up_the_others(
    client: QStash,
    destination: Destination,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, gate, asked = socket.getaddrinfo, threading.Event(), set()

    def slow(host: object, *args: Any, **kwargs: Any) -> Any:
        if str(host).startswith("slow-"):
            asked.add(host)
            gate.wait()
        return real(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    try:
        for n in range(20):
            client.message.publish(url=f"http://slow-{n}.localhost:9/")

        until(lambda: len(asked) == 20)
        client.message.publish(
            url=destination.url.replace("127.0.0.1", "localhost")
        )

        destination.wait_for(1)
    finally:
        gate.set()


def test_more_hanging_messages_than_workers_do_not_stop_the_others(
    transactional_db: None,
    config: Config,
    clock: ManualClock,
    destination: Destination,
) -> None:
    hanging = Destination()
    hanging.gate.clear()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    other = destination.url.replace("127.0.0.1", "localhost")
    try:
        with (
            Server(config=config, clock=clock, workers=4) as server,
            httpx.Client(
                base_url=server.url, headers=headers, timeout=DEADLINE
            ) as http,
        ):
            items = [{"destination": hanging.url}] * 12
            http.post("/v2/batch", json=items).raise_for_status()
            hanging.wait_for(4)

            for _ in range(20):
                http.post(f"/v2/publish/{other}").raise_for_status()

            destination.wait_for(20)
            assert len(hanging.received) == 4
            hanging.gate.set()
            hanging.wait_for(12)
    finally:
        hanging.close()


def test_hanging_queues_leave_workers_to_the_rest(
    transactional_db: None,
    config: Config,
    clock: ManualClock,
    destination: Destination,
) -> None:
    hanging = Destination()
    hanging.gate.clear()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    try:
        with (
            Server(config=config, clock=clock, workers=4) as server,
            httpx.Client(
                base_url=server.url, headers=headers, timeout=DEADLINE
            ) as http,
        ):
            for name in "abcdef":
                http.post(f"/v2/enqueue/{name}/{hanging.url}")
            hanging.wait_for(3)

            http.post(f"/v2/publish/{destination.url}")

            destination.wait_for(1)
            hanging.gate.set()
            hanging.wait_for(6)
    finally:
        hanging.close()


@pytest.mark.slow
def test_storm_of_messages_due_at_once_is_delivered_once_each(
    http: httpx.Client, destination: Destination, clock: ManualClock
) -> None:
    item = {"destination": destination.url, "headers": {"Upstash-Delay": "1h"}}
    for start in range(0, STORM, 100):
        items = [item | {"body": str(start + n)} for n in range(100)]
        http.post("/v2/batch", json=items).raise_for_status()

    clock.advance(3600)

    received = until(
        lambda: len(destination.received) >= STORM and destination.received,
        deadline=600,
    )
    assert sorted(int(one.body) for one in received) == list(range(STORM))


def test_claim_is_two_statements_and_takes_the_earliest(
    client: QStash, clock: ManualClock
) -> None:
    ids = [
        client.message.publish(url="http://localhost:9/", delay=f"{n}m")
        for n in (3, 1, 2)
    ]

    with writing(), CaptureQueriesContext(connection) as statements:
        claimed = claim(
            "another",
            clock.now() + 181_000,
            Shares(lanes=0, free=2, besides=()),
        ).deliveries

    assert len(statements) == 2
    assert [one.message_id for one in claimed] == [
        ids[1].message_id,
        ids[2].message_id,
    ]


def test_large_bodies_are_claimed_a_few_at_a_time(
    http: httpx.Client, destination: Destination, clock: ManualClock
) -> None:
    for _ in range(6):
        http.post(
            f"/v2/publish/{destination.url}",
            content=b"x" * 8_000_000,
            headers={"Upstash-Delay": "1m"},
        )
    with writing():
        claimed = claim(
            "another",
            clock.now() + 61_000,
            Shares(lanes=0, free=6, besides=()),
        ).deliveries
        release(besides=())

    clock.advance(61)

    assert len(claimed) == 4  # of 8 MB each: 32 MB at once
    destination.wait_for(6)


def test_abandoned_claims_are_released_at_the_start(
    transactional_db: None,
    config: Config,
    clock: ManualClock,
    destination: Destination,
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Upstash-Delay": "1h"}
    with Server(config=config, clock=clock) as server:
        httpx.post(
            f"{server.url}/v2/publish/{destination.url}", headers=headers
        )
    Message.objects.update(state="active", claimed_by="somebody", due=0)

    with Server(config=config, clock=clock):
        destination.wait_for(1)


def test_attempt_whose_claim_was_lost_is_not_written_down(
    server: Server,
    client: QStash,
    destination: Destination,
    log: Callable[[str], list[str]],
) -> None:
    destination.gate.clear()
    published = client.message.publish(url=destination.url)
    destination.wait_for(1)
    Message.objects.update(claimed_by="somebody else")

    destination.gate.set()

    until(lambda: server.attempts == 1)  # it has been looked at
    assert log(published.message_id) == ["CREATED", "ACTIVE"]


def test_database_that_goes_away_is_waited_for(
    client: QStash,
    http: httpx.Client,
    destination: Destination,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = Message._meta.db_table
    client.message.publish(url=destination.url, body="before")
    destination.wait_for(1)
    until(lambda: Message.objects.filter(state="delivered").exists())

    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
    refused = http.post(f"/v2/publish/{destination.url}", content=b"lost")
    clock.advance(1)
    until(lambda: any("dispatcher" in one.name for one in caplog.records))
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE elsewhere RENAME TO {table}")
    client.message.publish(url=destination.url, body="after")

    destination.wait_for(2)
    assert refused.status_code == 503
    assert refused.json() == {"error": "the database does not answer"}
    bodies = [one.body for one in destination.received]
    assert bodies == [b"before", b"after"]


def test_unexpected_error_does_not_end_the_deliveries(
    http: httpx.Client,
    destination: Destination,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = f"/v2/publish/{destination.url}/"
    http.post(f"{path}broken", headers={"Upstash-Delay": "1m"})
    options = Message.objects.get().options
    Message.objects.update(options={})

    clock.advance(61)
    until(lambda: any(one.exc_info for one in caplog.records))
    Message.objects.update(options=options)

    destination.wait_for(1)
    http.post(f"{path}another")
    targets = [one.target for one in destination.wait_for(2)]
    assert targets == ["/broken", "/another"]


@pytest.mark.parametrize(
    "broken", [{"options": {}}, {"cron": "every now and then"}]
)
def test_broken_schedule_spoils_only_itself(
    client: QStash,
    http: httpx.Client,
    destination: Destination,
    clock: ManualClock,
    broken: dict[str, object],
) -> None:
    for name in ("broken", "good"):
        client.schedule.create(
            destination=f"{destination.url}/{name}",
            cron="* * * * *",
            schedule_id=name,
        )
    Schedule.objects.filter(schedule_id="broken").update(**broken)

    clock.advance(60)

    (received,) = destination.wait_for(1)
    assert received.target == "/good"
    error = Schedule.objects.get(schedule_id="broken").error
    assert error.startswith("internal error: ")


def test_answers_of_a_dead_letter_may_be_bytes(
    client: QStash, destination: Destination
) -> None:
    destination.answers += [Answer(500, body=b"\xff\x00")]

    client.message.publish(url=destination.url, retries=0)

    (letter,) = until(lambda: client.dlq.list().messages)
    assert (letter.response_body, letter.response_body_base64) == (
        None,
        "/wA=",
    )
