"""`ctx.step.call` against a real HTTP server."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.testing.world import World
from django_hookflow.tests.serving import serving


class Recorded:
    """The requests that came in, and the answers to give in turn."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.url = ""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        self.answers.append((status, named, body))


@pytest.fixture
def provider() -> Iterator[Recorded]:
    recorded = Recorded()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {k.lower(): v for k, v in self.headers.items()}
            body = self.rfile.read(length)
            recorded.requests.append((self.command, self.path, headers, body))
            status, extra, content = recorded.answers.pop(0)
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *args: Any) -> None: ...

    with serving(Handler) as recorded.url:
        yield recorded


def calling(provider: Recorded, path: str = "/", **arguments: Any) -> Any:
    @workflow
    def caller(ctx: WorkflowContext) -> Any:
        answer = ctx.step.call("call", provider.url + path, **arguments)
        ctx.step.sleep("nap", 1)
        return answer

    return caller.trigger(run_id="r1")


@pytest.mark.parametrize(
    ("status", "body", "data"),
    [
        (200, b'{"id": 5}', {"id": 5}),
        (200, b"OK", "OK"),
        (204, b"", None),
        (402, b'{"error": "declined"}', {"error": "declined"}),
        (404, b"gone", "gone"),
        (302, b"", None),
        (200, b"[" * 9999, "[" * 9999),
        (200, b"[" * 9999 + b"]" * 9999, "[" * 9999 + "]" * 9999),
        (200, b"9" * 5000, "9" * 5000),
    ],
    ids=lambda value: repr(value)[-20:],
)
def test_an_answer_is_kept_and_asked_for_once(
    every: World, provider: Recorded, status: int, body: bytes, data: Any
) -> None:
    provider.answer(status, body)

    run = every.finish(calling(provider, method="POST", body={"a": 1}))

    assert run.result == {"status_code": status, "data": data}
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("body", "content", "kind"),
    [
        ({"a": [1]}, b'{"a":[1]}', "application/json"),
        ([1], b"[1]", "application/json"),
        ("text", b"text", None),
        (b"\xff", b"\xff", None),
        (None, b"", None),
    ],
)
def test_a_body_goes_as_what_it_is(
    every: World, provider: Recorded, body: Any, content: bytes, kind: Any
) -> None:
    provider.answer(200)

    every.finish(calling(provider, "/x?a=1", method="DELETE", body=body))

    method, path, headers, sent = provider.requests[0]
    assert (method, path) == ("DELETE", "/x?a=1")
    assert headers.get("content-type") == kind
    assert sent == content or json.loads(sent) == json.loads(content)


def test_each_attempt_carries_the_same_idempotency_key(
    every: World, provider: Recorded
) -> None:
    provider.answer(503)
    provider.answer(500)
    provider.answer(201, b"{}")

    run = every.finish(calling(provider, method="POST"))

    keys = [
        headers["idempotency-key"] for _, _, headers, _ in provider.requests
    ]
    assert keys == ["r1:call"] * 3
    assert run.result["status_code"] == 201


def test_a_given_idempotency_key_is_left_alone(
    every: World, provider: Recorded
) -> None:
    provider.answer(200)

    every.finish(calling(provider, headers={"idempotency-key": "mine"}))

    assert provider.requests[0][2]["idempotency-key"] == "mine"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({"Retry_After": "42"}, 42),
        ({"Retry_After": "Thu, 01 Jan 2026 00:01:00 GMT"}, 60),
        ({"Retry_After": "Thu, 01 Jan 2015 00:01:00 GMT"}, 0),
        ({"Retry_After": "59.8"}, 59.8),
        ({"Retry_After": " 5. "}, 5),
        ({"Retry_After": "-7"}, 1),
        ({"Retry_After": "1e3"}, 1),
        ({"Retry_After": "inf"}, 1),
        ({"Retry_After": "soon"}, 1),
        ({"Retry_After": "Thu, 01 Jan 2026 00:01:00"}, 1),
        ({}, 1),
    ],
)
def test_a_server_that_is_busy_says_when_to_come_again(
    every: World, provider: Recorded, header: dict[str, str], seconds: float
) -> None:
    provider.answer(429, **header)
    provider.answer(200)
    run_id = calling(provider)
    start = every.now

    run = every.finish(run_id)

    assert run.completed_at is not None
    assert (run.completed_at - start).total_seconds() == seconds + 1


def test_a_server_that_stays_down_fails_the_step(
    every: World, provider: Recorded
) -> None:
    for _ in range(4):
        provider.answer(500)

    run = every.finish(calling(provider))

    assert run.error_message == (
        "Step 'call' was tried 4 times and failed: RetryableError: "
        f"GET {provider.url}/ answered 500"
    )


def test_an_answer_that_cannot_be_read_is_not_asked_for_again(
    every: World, provider: Recorded
) -> None:
    provider.answer(200, b"no gzip", Content_Encoding="gzip")

    run = every.finish(calling(provider, method="POST"))

    assert len(provider.requests) == 1
    assert run.error_message == (
        "Step 'call' was tried once and failed: PermanentError: "
        f"POST {provider.url}/ answered 200, and its body is not in the "
        "encoding it names: Error -3 while decompressing data: incorrect "
        "header check. Ask its provider; the request is not repeated."
    )


def test_a_server_that_is_down_is_tried_again_whatever_its_body(
    every: World, provider: Recorded
) -> None:
    provider.answer(503, b"no gzip", Content_Encoding="gzip")
    provider.answer(200)

    run = every.finish(calling(provider, method="POST"))

    assert (run.status, len(provider.requests)) == ("completed", 2)


def test_a_refused_connection_is_tried_again(every: World) -> None:
    nobody = Recorded()
    nobody.url = "http://127.0.0.1:1"

    run = every.finish(calling(nobody))

    assert "was tried 4 times and failed: ConnectError" in run.error_message


def test_an_address_that_is_none_is_not_tried_again(every: World) -> None:
    nobody = Recorded()
    nobody.url = "ftp://127.0.0.1"

    run = every.finish(calling(nobody))

    assert "was tried once and failed: UnsupportedProtocol" in (
        run.error_message
    )


PDF = b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n" + bytes(range(256))


@pytest.mark.parametrize(
    ("kind", "body", "data"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/problem+json", b'{"a": 1}', {"a": 1}),
        ("application/json", b"\xef\xbb\xbf[1]", [1]),
        ("application/json", "[1]".encode("utf-16"), [1]),
        ("application/json; charset=utf-8", b"\xef\xbb\xbf[1]", [1]),
        (
            'application/json; charset="ISO-8859-1"',
            '{"name": "José"}'.encode("latin-1"),
            {"name": "José"},
        ),
        ("application/json; charset=bz2", b'"\xc3\xa9"', "é"),
        ("application/json; charset=no-such", b"[1]", [1]),
        ("application/json", b"no json", "no json"),
        ("application/json", b'"\xff"', b'"\xff"'),
        ("text/plain", b"00123", "00123"),
        ("text/plain", b"1e999", "1e999"),
        ("text/plain", b"null", "null"),
        ("text/html; charset=latin-1", b"Jos\xe9", "José"),
        ("text/csv; charset=utf-8", b"Jos\xe9", b"Jos\xe9"),
        ("application/xml", b"<a/>", "<a/>"),
        ("image/svg+xml", b"<svg/>", "<svg/>"),
        ("application/pdf", PDF, PDF),
        ("application/octet-stream", b"plain", b"plain"),
        ("", PDF, PDF),
        ("nonsense", b"[1]", [1]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_body_is_read_as_its_content_type_says(
    every: World, provider: Recorded, kind: str, body: bytes, data: Any
) -> None:
    provider.answer(200, body, **({"Content_Type": kind} if kind else {}))

    seen: list[Any] = []

    @workflow
    def asking(ctx: WorkflowContext) -> None:
        seen.append(ctx.step.call("ask", provider.url)["data"])
        ctx.step.sleep("nap", 1)

    every.finish(asking.trigger())

    assert seen == [data, data]


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"hello", mtime=0)),
        ("x-gzip", gzip.compress(b"hello", mtime=0)),
        ("deflate", zlib.compress(b"hello")),
        ("deflate", zlib.compress(b"hello", wbits=-15)),
        ("identity", b"hello"),
    ],
)
def test_a_packed_answer_is_unpacked(
    every: World, provider: Recorded, encoding: str, packed: bytes
) -> None:
    provider.answer(200, packed, Content_Encoding=encoding)

    run = every.finish(calling(provider))

    assert run.result == {"status_code": 200, "data": "hello"}
    assert provider.requests[0][2]["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_an_answer_that_cannot_be_unpacked_within_a_limit_is_refused(
    every: World, provider: Recorded, encoding: str
) -> None:
    provider.answer(200, b"packed", Content_Encoding=encoding)

    run = every.finish(calling(provider))

    assert len(provider.requests) == 1
    assert f"its body is in the encoding {encoding!r}" in run.error_message


@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
def test_an_answer_is_read_up_to_the_limit_and_no_further(
    every: World, provider: Recorded, settings: Any, encoding: str
) -> None:
    settings.DJANGO_HOOKFLOW_MAX_VALUE_BYTES = 1000
    body = b"0" * 100_000_000 if encoding != "identity" else b"0" * 1001
    pack = {"gzip": gzip.compress, "deflate": zlib.compress}.get(encoding)
    provider.answer(
        200, pack(body) if pack else body, Content_Encoding=encoding
    )
    tracemalloc.start()
    try:
        run = every.finish(calling(provider, method="POST"))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert run.error_message == (
        "Step 'call' was tried once and failed: PermanentError: "
        f"POST {provider.url}/ answered 200, and its body is larger than the "
        "1,000 bytes that DJANGO_HOOKFLOW_MAX_VALUE_BYTES allows. Ask its "
        "provider; the request is not repeated."
    )
    assert most < 20_000_000


class Dripping(BaseHTTPRequestHandler):
    """Sends a byte now and then, without an end."""

    gone = threading.Event()
    head = b"HTTP/1.1 200 OK\r\n"

    def do_GET(self) -> None:
        with suppress(OSError):
            self.wfile.write(self.head)
            while not self.gone.wait(0.05):
                self.wfile.write(b"x")

    def log_message(self, *args: Any) -> None: ...


@pytest.mark.parametrize("headers", [b"", b"\r\n"], ids=["headers", "body"])
def test_the_time_limit_is_one_for_the_whole_call(
    every: World, headers: bytes
) -> None:
    class Handler(Dripping):
        gone = threading.Event()
        head = Dripping.head + headers

    @workflow
    def asking(ctx: WorkflowContext) -> None:
        once = ctx.step.options(retry=RetryPolicy(retries=0))
        once.call("ask", f"{url}/", timeout=0.3)

    with serving(Handler) as url:
        run = every.finish(asking.trigger())
        Handler.gone.set()

    assert run.error_message == (
        "Step 'ask' was tried once and failed: ReadTimeout: "
        f"GET {url}/: not done after 0.3 s"
    )


@pytest.mark.parametrize("status", [500, 200, 404])
def test_no_secret_of_an_address_is_told(
    every: World,
    provider: Recorded,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.INFO, "httpx")
    for _ in range(4):
        provider.answer(status, b"no gzip", Content_Encoding="gzip")
    host = provider.url.removeprefix("http://")
    parts = "http://me:p4ss@", "/send?api_key=k3y#fr4g"

    @workflow
    def telling(ctx: WorkflowContext) -> None:
        ctx.step.call("tell", host.join(parts))

    run = every.finish(telling.trigger())

    told = run.error_message + caplog.text
    assert f"GET {provider.url}/send answered {status}" in told
    assert "HTTP Request: GET" in caplog.text
    for secret in ("p4ss", "k3y", "fr4g"):
        assert secret not in told


@pytest.mark.parametrize(
    ("url", "headers", "kind"),
    [
        ("{}/", {"Authorization": "Bearer s3cret\n"}, "LocalProtocolError"),
        ("{}/", {"s3cret\n": "x"}, "LocalProtocolError"),
        ("http://me:p/s3cret@host/", {}, "InvalidURL"),
        ("me:s3cret@host/", {}, "UnsupportedProtocol"),
        ("s3cret", {}, "UnsupportedProtocol"),
    ],
)
def test_a_request_that_cannot_be_sent_fails_at_once_and_stays_secret(
    every: World,
    provider: Recorded,
    caplog: pytest.LogCaptureFixture,
    url: str,
    headers: dict[str, str],
    kind: str,
) -> None:
    address = url.format(provider.url)
    arguments = {"headers": headers}

    @workflow
    def asking(ctx: WorkflowContext) -> None:
        ctx.step.call("ask", address, **arguments)

    run = every.finish(asking.trigger())

    assert (run.status, run.error_type) == ("failed", kind)
    assert run.step_executions.get().attempts == 1
    assert "s3cret" not in run.error_message + caplog.text


def test_an_answer_that_is_not_http_is_not_repeated_in_errors(
    every: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(Dripping):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nSet-Cookie s3cret\r\n\r\n")

    @workflow
    def asking(ctx: WorkflowContext) -> None:
        ctx.step.call("ask", url)

    with serving(Odd) as url:
        run = every.finish(asking.trigger())

    assert (run.status, run.error_type) == ("failed", "RemoteProtocolError")
    assert "s3cret" not in run.error_message + caplog.text
