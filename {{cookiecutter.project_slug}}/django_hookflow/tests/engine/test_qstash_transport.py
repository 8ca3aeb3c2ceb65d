"""What the official client sends for a delivery."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from http.server import HTTPServer
from threading import Thread
from typing import Any

import pytest

from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import TransportError
from django_hookflow.testing.world import World
from django_hookflow.transports import get_transport

Seen = list[tuple[str, dict[str, str], bytes]]


@pytest.fixture
def qstash(settings: Any) -> Iterator[Seen]:
    """A listener that takes what is published and answers like QStash."""
    seen: Seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {k.lower(): v for k, v in self.headers.items()}
            seen.append((self.path, headers, body))
            answer = b'{"messageId": "msg_1"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        settings.DJANGO_HOOKFLOW_TRANSPORT = (
            "django_hookflow.transports.qstash.QStashTransport"
        )
        settings.QSTASH_URL = f"http://127.0.0.1:{server.server_port}/"
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield seen
        server.shutdown()
        thread.join()


def delivery(**changes: Any) -> Delivery:
    fields = {"run_id": "r1", "workflow_id": "<a b>", "token": "tok"}
    return Delivery(**(fields | changes))


def test_a_delivery_is_published_with_all_that_qstash_needs(
    world: World, qstash: Seen
) -> None:
    get_transport().send(delivery(ring=2))

    path, headers, body = qstash[0]
    assert path == (
        "/v2/publish/http://testserver/hookflow/workflow/%3Ca%20b%3E/"
    )
    assert json.loads(body) == {
        "run_id": "r1",
        "workflow_id": "<a b>",
        "token": "tok",
    }
    sent = {k: v for k, v in headers.items() if k.startswith("upstash-")}
    assert sent == {
        "upstash-deduplication-id": "tok-2",
        "upstash-label": "%3Ca%20b%3E",
        "upstash-retries": "3",
    }
    assert headers["authorization"] == "Bearer token-of-the-Tests-7Kq2"
    assert headers["content-type"] == "application/json"


def test_deliveries_leave_room_when_the_site_asks_for_it(
    world: World, settings: Any, qstash: Seen
) -> None:
    settings.DJANGO_HOOKFLOW_PARALLELISM = 8
    settings.DJANGO_HOOKFLOW_DOMAIN = "http://127.0.0.1:8000"

    get_transport().send(delivery())

    headers = qstash[0][1]
    assert headers["upstash-flow-control-key"] == "hookflow-127.0.0.1-8000"
    assert headers["upstash-flow-control-value"] == "parallelism=8"


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("-5s", None), ("0s", None), ("90s", 90), ("1.2s", 2), ("30d", 604_740)],
)
def test_a_later_delivery_waits_at_qstash_as_long_as_it_can(
    world: World, qstash: Seen, delay: str, seconds: int | None
) -> None:
    sign = -1 if delay.startswith("-") else 1
    number, unit = float(delay.strip("-")[:-1]), delay[-1]
    later = timedelta(seconds=number * (86_400 if unit == "d" else 1))

    get_transport().send(delivery(not_before=world.now + sign * later))

    not_before = qstash[0][1].get("upstash-not-before")
    expected = seconds and str(int(world.now.timestamp()) + seconds)
    assert not_before == expected


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense"])
def test_whatever_goes_wrong_is_one_error(settings: Any, url: str) -> None:
    settings.DJANGO_HOOKFLOW_TRANSPORT = (
        "django_hookflow.transports.qstash.QStashTransport"
    )
    settings.QSTASH_URL = url

    with pytest.raises(TransportError, match="QStash took no message"):
        get_transport().send(delivery())
