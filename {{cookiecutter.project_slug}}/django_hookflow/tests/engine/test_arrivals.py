"""Genuine messages, as tunnels, proxies and middleware forward them."""

from __future__ import annotations

import asyncio
import io
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest
from django.http import HttpResponse
from django.urls import clear_script_prefix
from django.urls import set_script_prefix

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.testing.world import World
from django_hookflow.transports.base import task_url
from django_hookflow.transports.base import webhook_url
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.signature import sign

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("workflows"),
]

View = Callable[[HttpRequest], HttpResponse]


def message() -> bytes:
    """Return the message of a new run of "hello"."""

    @workflow
    def hello(ctx: WorkflowContext) -> None: ...

    hello.trigger(run_id="r1")
    return memory_transport().waiting[0].delivery.encode()


def post_in_chunks(body: bytes) -> str:
    """Post as gunicorn does with chunks that it joined: without a length."""
    said: list[str] = []
    WSGIHandler()(
        {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/hookflow/workflow/hello/",
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "HTTP_TRANSFER_ENCODING": "chunked",
            "HTTP_UPSTASH_SIGNATURE": sign(body, webhook_url("hello")),
            "wsgi.input_terminated": True,
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http",
            "wsgi.errors": io.StringIO(),
            "REMOTE_ADDR": "127.0.0.1",
        },
        lambda status, *_: said.append(status),
    )
    return said[0]


def test_a_genuine_message_in_chunks_moves_its_run(world: World) -> None:
    status = post_in_chunks(message())

    assert status == "200 OK"
    assert world.run_of("r1").status == "completed"


def test_a_message_in_chunks_may_be_no_larger_than_others(
    world: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_MAX_BODY = 10

    status = post_in_chunks(message())

    assert status.startswith("413")
    assert world.run_of("r1").status == "pending"


def test_a_genuine_message_by_asgi_without_a_length_moves_its_run(
    world: World,
) -> None:
    body = message()
    half = len(body) // 2
    parts = [
        {"type": "http.request", "body": body[:half], "more_body": True},
        {"type": "http.request", "body": body[half:], "more_body": False},
    ]
    said: list[Any] = []

    async def receive() -> Any:
        if parts:
            return parts.pop(0)
        await asyncio.Event().wait()

    async def send(event: Any) -> None:
        said.append(event)

    signature = sign(body, webhook_url("hello"))
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/hookflow/workflow/hello/",
        "query_string": b"",
        "headers": [
            (b"host", b"testserver"),
            (b"upstash-signature", signature.encode()),
        ],
    }
    asyncio.run(ASGIHandler()(scope, receive, send))

    assert said[0]["status"] == 200
    assert world.run_of("r1").status == "completed"


def audit(get_response: View) -> View:
    def middleware(request: HttpRequest) -> HttpResponse:
        request.read()
        return get_response(request)

    return middleware


def test_the_log_says_that_the_body_was_read_before(
    world: World,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trail: Any = types.ModuleType("audit_trail")
    trail.audit = audit
    monkeypatch.setitem(sys.modules, "audit_trail", trail)
    settings.MIDDLEWARE = ["audit_trail.audit", *settings.MIDDLEWARE]
    message()

    world.deliver()

    assert "The body was already read" in caplog.text
    assert "forged" not in caplog.text


def test_every_process_publishes_to_the_same_address(settings: Any) -> None:
    settings.FORCE_SCRIPT_NAME = "/desk"
    set_script_prefix("/shop/")  # as for a request with a SCRIPT_NAME
    try:
        of_the_web = webhook_url("hello"), task_url("sweep")
    finally:
        clear_script_prefix()

    of_the_sweeper = webhook_url("hello"), task_url("sweep")

    assert of_the_web == of_the_sweeper
    assert of_the_web[0] == "http://testserver/desk/hookflow/workflow/hello/"
