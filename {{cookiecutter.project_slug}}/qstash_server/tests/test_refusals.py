"""Requests that the server does not accept, and its answers."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest
from qstash import QStash
from qstash.errors import QStashError

from qstash_server.accounts import PUBLIC_USERS
from qstash_server.clock import ManualClock
from qstash_server.conf import Config
from qstash_server.conf import Quotas
from qstash_server.errors import ConfigurationError
from qstash_server.listener import Request
from qstash_server.models import Message
from qstash_server.router import Router
from qstash_server.server import Server
from qstash_server.tests.conftest import TOKEN
from qstash_server.tests.helpers import DEADLINE
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic token-of-the-tests"},
        {"Authorization": f"Bearer {PUBLIC_USERS[0].token}"},
    ],
)
def test_unknown_token_is_401(server: Server, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{server.url}/v2/keys", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"error": "unable to authenticate: invalid token"}


def test_token_may_come_in_the_query(server: Server) -> None:
    query = "qstash_token=token-of-the-tests"

    keys = httpx.get(f"{server.url}/v2/keys?{query}").json()
    letters = httpx.get(f"{server.url}/v2/dlq?count=1&{query}").json()

    assert keys["current"].startswith("sig_current")
    assert letters == {"messages": []}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/publish/http://localhost/"),
        ("GET", "/favicon.ico"),
        ("POST", "/v2/nothing"),
        ("GET", "/v2/messages/a/b"),
        ("OPTIONS", "/v2/keys"),
    ],
)
def test_unknown_operation_is_404(
    http: httpx.Client, method: str, path: str
) -> None:
    answer = http.request(method, path)

    assert answer.status_code == 404
    assert answer.json() == {"error": f"no operation {method} {path}"}


def test_head_has_no_body(http: httpx.Client) -> None:
    assert http.head("/v2/keys").status_code == 404
    assert http.get("/v2/keys").status_code == 200


@pytest.mark.parametrize(
    ("destination", "error"),
    [
        (
            "https%3A%2F%2Fexample.com",
            "invalid destination url: endpoint has invalid scheme,"
            " add http:// or https://",
        ),
        (
            "ftp://localhost/",
            "invalid destination url: endpoint has invalid scheme,"
            " add http:// or https://",
        ),
        (
            "http:///path",
            "invalid destination url: 'http:///path' has no host to call",
        ),
        (
            "http://localhost:0/",
            "invalid destination url: 'http://localhost:0/' has no host to"
            " call",
        ),
        (
            "http://localhost:x/",
            "invalid destination url: Port could not be cast to integer"
            " value as 'x'",
        ),
        (
            "http://me:secret@localhost/",
            "invalid destination url: a name and password in the address"
            " are not supported, forward an Authorization header",
        ),
        (
            "http://10.0.0.1/",
            "invalid destination url: 10.0.0.1 is neither loopback nor this"
            " project's own host; add it to QSTASH_SERVER_ALLOWED_HOSTS to"
            " deliver there",
        ),
    ],
)
def test_destination_that_cannot_be_called_is_400(
    http: httpx.Client, destination: str, error: str
) -> None:
    answer = http.post(f"/v2/publish/{destination}")

    assert answer.status_code == 400
    assert answer.json() == {"error": error}


def test_unknown_group_is_404(client: QStash) -> None:
    with pytest.raises(QStashError, match=r"404.*url group nobody not found"):
        client.message.publish(url_group="nobody")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("Upstash-Delay", "10", "'10' is not a duration such as 10s or 1h30m"),
        ("Upstash-Timeout", "x", "'x' is not a duration such as 10s or 1h30m"),
        ("Upstash-Retries", "-1", "'-1' is not a number from 0 up"),
        ("Upstash-Not-Before", "5.6", "'5.6' is not a number from 0 up"),
        ("Upstash-Retry-Delay", "x", "'x': unexpected 'x'"),
        (
            "Upstash-Content-Based-Deduplication",
            "perhaps",
            "'perhaps' is neither true nor false",
        ),
        (
            "Upstash-Redact-Fields",
            "soul",
            "'soul' is neither body, header nor header[Name]",
        ),
        (
            "Upstash-Schedule-Id",
            "a b",
            "'a b' may only hold letters, digits, - _ .",
        ),
        (
            "Upstash-Callback",
            "x",
            "invalid url: endpoint has invalid scheme, add http:// or"
            " https://",
        ),
    ],
)
def test_malformed_setting_is_named(
    http: httpx.Client, name: str, value: str, error: str
) -> None:
    answer = http.post("/v2/publish/http://localhost/", headers={name: value})

    assert answer.status_code == 400
    assert answer.json() == {"error": f"{name.lower()}: {error}"}


UNSERVED = (
    ": Upstash Workflow is not served here, which would lose the steps of"
    " its runs; this server speaks QStash only. Set QSTASH_URL to Upstash,"
    " or to its own development server"
)


@pytest.mark.parametrize(
    "name",
    [
        "Upstash-Workflow-RunId",
        "Upstash-Callback-Workflow-Init",
        "Upstash-Failure-Callback-Workflow-Url",
        "Upstash-Feature-Set",
    ],
)
def test_message_of_upstash_workflow_is_refused_by_every_door(
    client: QStash, http: httpx.Client, name: str
) -> None:
    url = "http://localhost:9/"
    cron = {"Upstash-Cron": "* * * * *"}
    items = [
        {"destination": url},
        {"destination": url, "headers": {name: "1"}},
    ]

    answers = [
        http.post(f"/v2/publish/{url}", headers={name: "1"}),
        http.post(f"/v2/publish/{url}?{name}=1"),
        http.post(f"/v2/enqueue/q/{url}", headers={name: "1"}),
        http.post("/v2/batch", json=items),
        http.post(f"/v2/schedules/{url}", headers=cron | {name: "1"}),
    ]

    with pytest.raises(QStashError, match="Upstash Workflow is not served"):
        client.http.request(
            path="/v2/batch",
            method="POST",
            headers={"Content-Type": "application/json"},
            body=json.dumps(items),
        )
    assert [answer.status_code for answer in answers] == [400] * 5
    assert [answer.json()["error"] for answer in answers] == [
        f"{name.lower()}{UNSERVED}"
    ] * 5
    assert not Message.objects.exists()


def test_header_that_is_only_forwarded_may_have_any_name(
    http: httpx.Client, destination: Destination
) -> None:
    name = "Upstash-Workflow-RunId"

    http.post(
        f"/v2/publish/{destination.url}",
        headers={f"Upstash-Forward-{name}": "wfr_1"},
    ).raise_for_status()

    (received,) = destination.wait_for(1)
    assert received.headers[name.lower()] == "wfr_1"


def test_schedule_that_is_published_is_400(http: httpx.Client) -> None:
    url = "http://localhost:9/"

    answer = http.post(
        f"/v2/publish/{url}", headers={"Upstash-Cron": "* * * * *"}
    )

    assert answer.status_code == 400
    way = f"a schedule is made by POST /v2/schedules/{url}"
    assert answer.json() == {"error": f"upstash-cron: {way}"}


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("speed=1", "'speed' is neither parallelism, rate nor period"),
        ("rate=0", "rate '0' is not a number from 1 up"),
        ("parallelism=x", "parallelism 'x' is not a number from 1 up"),
        ("period=8d", "period '8d' is not between 1s and 7d"),
        ("period=0", "period '0' is not between 1s and 7d"),
    ],
)
def test_malformed_flow_control_is_named(
    http: httpx.Client, value: str, error: str
) -> None:
    answer = http.post(
        "/v2/publish/http://localhost/",
        headers={
            "Upstash-Flow-Control-Key": "k",
            "Upstash-Flow-Control-Value": value,
        },
    )

    assert answer.status_code == 400
    assert answer.json() == {"error": f"upstash-flow-control-value: {error}"}


def test_long_flow_control_key_is_400(http: httpx.Client) -> None:
    answer = http.post(
        "/v2/publish/http://localhost/",
        headers={"Upstash-Flow-Control-Key": "k" * 257},
    )

    assert answer.json() == {
        "error": "upstash-flow-control-key: longer than 256 characters"
    }


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (
            "upstash-method=HEAD",
            "upstash-method: 'HEAD' is not one of ('GET', 'POST', 'PUT',"
            " 'PATCH', 'DELETE')",
        ),
        (
            "upstash-label=a%0d%0ab",
            "upstash-label: control characters are not allowed",
        ),
    ],
)
def test_malformed_parameter_is_400(
    http: httpx.Client, query: str, error: str
) -> None:
    answer = http.post(f"/v2/publish/http://localhost/?{query}")

    assert (answer.status_code, answer.json()) == (400, {"error": error})


def test_malformed_name_of_a_forwarded_header_is_400(
    server: Server,
) -> None:
    answer = talk(
        server,
        b"POST /v2/publish/http://localhost/ HTTP/1.1\r\nHost: x\r\n"
        b"Authorization: Bearer token-of-the-tests\r\n"
        b"Upstash-Forward-: x\r\nContent-Length: 0\r\n\r\n",
    )

    assert b'{"error":"\'\' is not a valid header name"}' in answer


class TestQuotas:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        quotas = Quotas(max_delay=3_600_000, max_retries=5, max_message_size=9)
        return replace(config, quotas=quotas)

    @pytest.mark.parametrize(
        ("headers", "body", "error"),
        [
            (
                {"Upstash-Delay": "2h"},
                b"",
                "maxDelay exceeded, current limit: 3600",
            ),
            (
                {"Upstash-Not-Before": "99999999999"},
                b"",
                "maxDelay exceeded, current limit: 3600",
            ),
            (
                {"Upstash-Retries": "6"},
                b"",
                "maxRetries exceeded, current limit: 5",
            ),
            ({}, b"x" * 10, "maxMessageSize exceeded, current limit: 9"),
        ],
    )
    def test_more_than_the_plan_allows_is_412(
        self,
        http: httpx.Client,
        headers: dict[str, str],
        body: bytes,
        error: str,
    ) -> None:
        answer = http.post(
            "/v2/publish/http://localhost/", headers=headers, content=body
        )

        assert answer.status_code == 412
        assert answer.json() == {"error": f"quota {error}"}


def talk(server: Server, request: bytes) -> bytes:
    """Return the server's answer to raw bytes, until it closes or is done."""
    parts = urlsplit(server.url)
    assert parts.hostname
    assert parts.port
    with socket.create_connection((parts.hostname, parts.port)) as sock:
        sock.settimeout(DEADLINE)
        sock.sendall(request)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
            if b"\r\n\r\n" in answer and answer.endswith(b"}"):
                break
    return answer


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01 not http\r\n\r\n", b"400"),
        (b"GET /v2/keys HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000, b"431"),
        (
            b"POST /v2/batch HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 999999999\r\n\r\n",
            b"413",
        ),
    ],
)
def test_what_is_not_a_request_gets_an_answer(
    server: Server, request_bytes: bytes, status: bytes
) -> None:
    answer = talk(server, request_bytes)

    assert answer.startswith(b"HTTP/1.1 " + status)
    body = answer.partition(b"\r\n\r\n")[2]
    assert set(json.loads(body)) == {"error"}


def test_connection_ends_when_the_client_asks_for_it(server: Server) -> None:
    request = b"GET /v2/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    parts = urlsplit(server.url)

    with socket.create_connection((parts.hostname, parts.port)) as sock:
        sock.sendall(request)
        answer = sock.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 401 ")


def test_request_whose_end_is_told_twice_is_the_last(server: Server) -> None:
    """A proxy that goes by the length has not seen the second one."""
    token = f"Authorization: Bearer {TOKEN}\r\n".encode()
    parts = urlsplit(server.url)

    with socket.create_connection((parts.hostname, parts.port)) as sock:
        sock.sendall(
            b"POST /v2/publish/nobody HTTP/1.1\r\nHost: x\r\n"
            + token
            + b"Content-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"0\r\n\r\nGET /v2/keys HTTP/1.1\r\nHost: x\r\n"
            + token
            + b"\r\n"
        )
        answer = sock.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer


def test_burst_of_connections_waits_to_be_accepted(server: Server) -> None:
    gate = threading.Event()
    parts = urlsplit(server.url)
    address = (parts.hostname, parts.port)
    request = b"GET /v2/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    with contextlib.ExitStack() as stack:
        stack.callback(gate.set)
        server._loop.call_soon_threadsafe(gate.wait)
        peers = [  # more than asyncio lets wait by itself
            stack.enter_context(socket.create_connection(address, DEADLINE))
            for _ in range(120)
        ]
        gate.set()
        for peer in peers:
            peer.sendall(request)
        answers = [peer.makefile("rb").readline() for peer in peers]

    assert set(answers) == {b"HTTP/1.1 401 Unauthorized\r\n"}


def serves(server: Server) -> bool:
    """True if a client gets an answer; one that is too slow does not."""
    try:
        answer = httpx.get(f"{server.url}/v2/keys", headers=AUTHORIZED)
    except httpx.TransportError:
        return False
    return answer.status_code == 200


class TestImpatientServer:
    """One whose clients are all dropped, unless they are quick."""

    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(
            config, max_connections=2, idle_seconds=0.2, read_seconds=0.2
        )

    @pytest.fixture
    def long_log(
        self, transactional_db: None, config: Config, clock: ManualClock
    ) -> None:
        """Publish enough to fill every buffer, with long time limits."""
        patient = replace(config, idle_seconds=75.0, read_seconds=60.0)
        with Server(config=patient, clock=clock) as server:
            for _ in range(20):
                httpx.post(
                    f"{server.url}/v2/publish/http://localhost:9/",
                    content=b"x" * 60_000,
                    headers=AUTHORIZED | {"Upstash-Delay": "1h"},
                ).raise_for_status()

    @pytest.mark.parametrize(
        "begun", [b"", b"POST /v2/batch HTTP/1.1\r\nHost: x\r\n"]
    )
    def test_client_that_falls_silent_is_dropped(
        self, server: Server, begun: bytes
    ) -> None:
        assert talk(server, begun) == b""

    def test_client_that_never_ends_its_body_is_dropped(
        self, server: Server
    ) -> None:
        begun = (
            b"POST /v2/batch HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 9\r\n\r\nhalf"
        )

        assert talk(server, begun) == b""

    def test_client_that_never_reads_its_answer_is_dropped(
        self, long_log: None, server: Server
    ) -> None:
        address = urlsplit(server.url)
        silent = [socket.socket() for _ in range(2)]
        for peer in silent:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect((address.hostname, address.port))
            head = f"GET /v2/events?qstash_token={TOKEN} HTTP/1.1\r\nHost: x"
            peer.sendall(f"{head}\r\n\r\n".encode() * 8)

        # There is room for two connections, and these two had it.
        until(lambda: serves(server))
        for peer in silent:
            peer.close()


class TestServerWithoutMemory:
    """One body nearly fills it; a second one does not fit."""

    SIZE = 1024 * 1024

    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(
            config, quotas=Quotas(max_batch_size=10), max_bodies=self.SIZE
        )

    @pytest.fixture
    def unfinished(self, server: Server) -> Iterator[socket.socket]:
        """A client that has sent all of its body but one byte."""
        parts = urlsplit(server.url)
        with socket.create_connection((parts.hostname, parts.port)) as sock:
            sock.sendall(
                b"POST /v2/publish/http://localhost:9/ HTTP/1.1\r\nHost: x\r\n"
                b"Upstash-Delay: 1h\r\n"
                + f"Authorization: Bearer {TOKEN}\r\n".encode()
                + f"Content-Length: {self.SIZE}\r\n\r\n".encode()
                + b"x" * (self.SIZE - 1)
            )
            yield sock

    def publish(self, server: Server) -> httpx.Response:
        return httpx.post(
            f"{server.url}/v2/publish/http://localhost:9/",
            content=b"x" * 100,
            headers=AUTHORIZED | {"Upstash-Delay": "1h"},
        )

    def refused(self, server: Server) -> httpx.Response | None:
        answer = self.publish(server)
        return answer if answer.status_code == 503 else None

    def test_body_without_room_is_503_until_the_other_is_answered(
        self, server: Server, unfinished: socket.socket
    ) -> None:
        answer = until(lambda: self.refused(server))

        unfinished.sendall(b"x")

        assert answer.json() == {"error": "too many bytes of other requests"}
        assert answer.headers["retry-after"] == "1"
        assert unfinished.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert self.publish(server).status_code == 200

    def test_client_that_goes_away_leaves_its_room(
        self, server: Server, unfinished: socket.socket
    ) -> None:
        until(lambda: self.refused(server))

        unfinished.close()

        until(lambda: self.publish(server).status_code == 200)

    def test_bodies_of_strangers_take_no_room(
        self, server: Server, unfinished: socket.socket
    ) -> None:
        until(lambda: self.refused(server))

        answer = httpx.post(f"{server.url}/v2/batch", content=b"x" * 100)

        assert answer.status_code == 401


class TestSmallServer:
    """One that has little room, and patience."""

    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(
            config, quotas=Quotas(max_batch_size=10), max_connections=2
        )

    def test_body_without_a_length_has_a_limit_too(
        self, server: Server
    ) -> None:
        size = 2 * 1024 * 1024
        answer = talk(
            server,
            b"POST /v2/batch HTTP/1.1\r\nHost: x\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
            + f"{size:x}\r\n".encode()
            + b"x" * size,
        )

        assert answer.startswith(b"HTTP/1.1 413 ")

    def test_more_connections_than_allowed_are_turned_away(
        self, server: Server
    ) -> None:
        parts = urlsplit(server.url)
        address = (parts.hostname, parts.port)

        with (
            socket.create_connection(address),
            socket.create_connection(address),
            socket.create_connection(address) as third,
        ):
            answer = third.makefile("rb").read()

        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nConnection: close\r\n" in answer


def test_fault_of_our_own_is_500_and_logged_without_the_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = Router(None, None, None)  # type: ignore[arg-type]

    answer = broken.answer(
        Request("GET", f"/v2/keys?qstash_token={TOKEN}", ())
    )

    assert (answer.status, answer.body) == (500, b'{"error":"internal error"}')
    assert "GET /v2/keys failed" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("text", ["\\ud800", "\\u0000"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/v2/messages", '{"messageIds": ["TEXT"]}'),
        ("DELETE", "/v2/dlq", '{"dlqIds": ["TEXT"]}'),
        ("POST", "/v2/dlq/retry", '{"dlqIds": ["TEXT"]}'),
        (
            "DELETE",
            "/v2/topics/g/endpoints",
            '{"endpoints": [{"url": "TEXT"}]}',
        ),
        ("PATCH", "/v2/topics/g", '{"headers": {"Upstash-Label": "TEXT"}}'),
        ("PATCH", "/v2/topics/g", '{"headers": {"TEXT": "x"}}'),
    ],
)
def test_text_that_no_database_holds_is_400(
    http: httpx.Client,
    client: QStash,
    method: str,
    path: str,
    body: str,
    text: str,
) -> None:
    client.url_group.upsert_endpoints("g", [{"url": "http://localhost/"}])

    answer = http.request(method, path, content=body.replace("TEXT", text))

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the body: ")


def test_cron_longer_than_its_column_is_400(http: httpx.Client) -> None:
    line = f"{','.join(['0'] * 200)} * * * *"

    answer = http.post(
        "/v2/schedules/http://localhost/", headers={"Upstash-Cron": line}
    )

    assert answer.status_code == 400
    assert answer.json() == {"error": "upstash-cron: over 256 characters"}


@pytest.mark.parametrize(
    "body",
    [
        {"messageIds": [f"msg_{n}" for n in range(100_000)]},
        {"messageIds": ",".join("x" for _ in range(70_000))},
    ],
)
def test_more_ids_than_a_database_takes_are_400(
    http: httpx.Client, body: object
) -> None:
    answer = http.request("DELETE", "/v2/messages", json=body, timeout=10)

    assert answer.status_code == 400
    assert answer.json() == {"error": "messageIds: more than 10000 values"}


def test_body_of_a_stranger_is_not_kept(server: Server) -> None:
    size = 60_000_000
    head = f"POST /v2/batch HTTP/1.1\r\nHost: x\r\nContent-Length: {size}"
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as peer:
        peer.sendall(f"{head}\r\n\r\n".encode())
        tracemalloc.start()
        try:
            for _ in range(size // 1_000_000):
                peer.sendall(b"x" * 1_000_000)
            answer = peer.recv(65536)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert peak < 20_000_000


def test_client_may_wait_for_100_continue(server: Server) -> None:
    answer = talk(
        server,
        b"POST /v2/publish/nobody HTTP/1.1\r\nHost: x\r\n"
        b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    )

    assert answer.startswith(b"HTTP/1.1 100 ")
    assert b"HTTP/1.1 401 " in answer


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"token": ""}, "QSTASH_TOKEN is empty"),
        ({"current_key": ""}, "QSTASH_CURRENT_SIGNING_KEY is empty"),
        ({"next_key": ""}, "QSTASH_NEXT_SIGNING_KEY is empty"),
        (
            {"token": PUBLIC_USERS[0].token},
            "QSTASH_TOKEN is one of Upstash's public development values",
        ),
        (
            {"next_key": PUBLIC_USERS[2].keys.current},
            "QSTASH_NEXT_SIGNING_KEY is one of Upstash's public",
        ),
    ],
)
def test_server_refuses_public_keys(
    config: Config, change: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        Server(config=replace(config, **change))  # type: ignore[arg-type]
