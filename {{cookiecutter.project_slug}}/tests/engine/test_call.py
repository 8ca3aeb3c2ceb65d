"""`ctx.step.call` against a real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from tests.world import World


class Recorded:
    """What came in, and what is answered to each request in turn."""

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

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        recorded.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield recorded
        server.shutdown()
        thread.join()


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
        ({"Retry_After": "soon"}, 1),
        ({"Retry_After": "Thu, 01 Jan 2026 00:01:00"}, 1),
        ({}, 1),
    ],
)
def test_a_server_that_is_busy_says_when_to_come_again(
    every: World, provider: Recorded, header: dict[str, str], seconds: int
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
        "header check. Ask its provider; it is not asked again."
    )


def test_a_server_that_is_down_is_tried_again_whatever_its_body(
    every: World, provider: Recorded
) -> None:
    provider.answer(503, b"no gzip", Content_Encoding="gzip")
    provider.answer(200)

    run = every.finish(calling(provider, method="POST"))

    assert (run.status, len(provider.requests)) == ("completed", 2)


def test_nobody_listening_is_tried_again(every: World) -> None:
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
