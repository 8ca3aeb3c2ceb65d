"""Each transport keeps the promises of all; and the requests of QStash's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any
from typing import ClassVar

import pytest
from django.http import HttpRequest
from django.http import HttpResponse
from django.urls import include
from django.urls import path

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.testing.transports import Arrival
from django_hookflow.testing.transports import Post
from django_hookflow.testing.transports import RemoteTransportTests
from django_hookflow.testing.transports import SignedTransportTests
from django_hookflow.testing.transports import TransportTests
from django_hookflow.testing.transports import delivery
from django_hookflow.transports import get_transport
from django_hookflow.transports.base import Transport
from django_hookflow.transports.memory import memory_transport

QSTASH = "django_hookflow.transports.qstash.QStashTransport"
PUBLISH = "/v2/publish/"


class Pigeon(Transport):
    """A transport of a project's own needs one method."""

    loft: ClassVar[list[tuple[bytes, datetime]]] = []

    def send(self, delivery: Delivery) -> None:
        due = max(delivery.not_before or clock.now(), clock.now())
        self.loft.append((delivery.encode(), due))


class TestPigeon(TransportTests):
    path = f"{__name__}.Pigeon"

    def arrivals(self) -> list[Arrival]:
        notes, Pigeon.loft = Pigeon.loft, []
        return [Arrival(Delivery.decode(body), due) for body, due in notes]


seen_by_the_site: list[tuple[str, bytes, dict[str, str]]] = []


def record(request: HttpRequest, **_: str) -> HttpResponse:
    url = request.build_absolute_uri()
    seen_by_the_site.append((url, request.body, dict(request.headers)))
    return HttpResponse()


recording = [
    path("workflow/<workflow_id>/", record, name="workflow_webhook"),
    path("maintenance/<task>/", record, name="maintenance_webhook"),
]
urlpatterns = [
    path("hookflow/", include((recording, "django_hookflow"))),
]


class TestMemoryTransport(SignedTransportTests):
    path = "django_hookflow.transports.memory.MemoryTransport"

    @pytest.fixture(autouse=True)
    def urls(self, site: None, settings: Any) -> Iterator[None]:
        settings.ROOT_URLCONF = __name__
        memory_transport().reset()
        yield
        memory_transport().reset()

    def posts(self) -> list[Post]:
        transport = memory_transport()
        return [self._post(one) for one in list(transport.waiting)]

    def _post(self, message: Any) -> Post:
        seen_by_the_site.clear()
        with clock.source(lambda: message.due):
            memory_transport().deliver(message)
        ((url, body, headers),) = seen_by_the_site
        kept = {"Upstash-Signature": headers["Upstash-Signature"]}
        return Post(url, body, kept, message.due)

    def test_each_object_has_messages_of_its_own(self) -> None:
        other = type(memory_transport())()

        self.send(delivery())

        assert (len(memory_transport().waiting), other.waiting) == (1, [])


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
            self._answer({"messageId": "msg_1"})

        def do_GET(self) -> None:
            keys = {
                "current": settings.QSTASH_CURRENT_SIGNING_KEY,
                "next": settings.QSTASH_NEXT_SIGNING_KEY,
            }
            self._answer(keys)

        def _answer(self, content: dict[str, str]) -> None:
            answer = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        settings.DJANGO_HOOKFLOW_TRANSPORT = QSTASH
        settings.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT = 60
        settings.QSTASH_URL = f"http://127.0.0.1:{server.server_port}/"
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield seen
        server.shutdown()
        thread.join()


class TestQStashTransport(SignedTransportTests, RemoteTransportTests):
    path = QSTASH
    # A minute less than QStash allows: its clock may be behind.
    longest_hop = timedelta(days=7, minutes=-1)

    @pytest.fixture(autouse=True)
    def listener(self, site: None, qstash: Seen) -> None:
        self.seen = qstash

    def disconnect(self) -> None:
        self.settings.QSTASH_URL = "http://127.0.0.1:1"

    def posts(self) -> list[Post]:
        """Play QStash's part: drop duplicates, hold back, and sign."""
        by_id = {
            headers["upstash-deduplication-id"]: (target, headers, body)
            for target, headers, body in self.seen
        }
        return [self._post(*one) for one in by_id.values()]

    def _post(self, target: str, headers: dict[str, str], body: bytes) -> Post:
        url = target.removeprefix(PUBLISH)
        later = headers.get("upstash-not-before")
        due = datetime.fromtimestamp(int(later), UTC) if later else self.now
        expires = int(due.timestamp()) + 300
        return replace(self.signed(body, url=url, exp=expires), due=due)

    def test_an_address_that_is_not_a_url_is_a_transport_error(self) -> None:
        self.settings.QSTASH_URL = "nonsense"

        self.test_a_message_that_is_not_surely_sent_is_a_transport_error()

    def test_all_that_qstash_needs_is_published(self) -> None:
        self.send(delivery(workflow_id="<a b>", repeat=2))

        ((target, headers, body),) = self.seen
        assert target == (
            "/v2/publish/http://testserver/hookflow/workflow/%3Ca%20b%3E/"
        )
        assert json.loads(body) == {
            "run_id": "r",
            "workflow_id": "<a b>",
            "token": "t",
        }
        sent = {k: v for k, v in headers.items() if k.startswith("upstash-")}
        assert sent == {
            "upstash-deduplication-id": "t-2",
            "upstash-label": "%3Ca%20b%3E",
            "upstash-retries": "3",
        }
        assert headers["authorization"] == "Bearer token-of-the-Tests-7Kq2"
        assert headers["content-type"] == "application/json"

    def test_parallel_deliveries_are_limited_if_the_site_asks_for_it(
        self,
    ) -> None:
        self.settings.DJANGO_HOOKFLOW_PARALLELISM = 8
        self.settings.DJANGO_HOOKFLOW_DOMAIN = "http://127.0.0.1:8000"

        self.send(delivery())

        headers = self.seen[0][1]
        assert headers["upstash-flow-control-key"] == "hookflow-127.0.0.1-8000"
        assert headers["upstash-flow-control-value"] == "parallelism=8"

    def test_a_time_is_rounded_up_to_a_second(self) -> None:
        self.send(delivery(not_before=self.now + timedelta(seconds=1.2)))

        (post,) = self.posts()
        assert post.due == self.now + timedelta(seconds=1.5)

    def test_a_changed_setting_is_used_for_the_next_message(self) -> None:
        get_transport().trouble()
        self.settings.QSTASH_TOKEN = "another-token-of-the-Tests-4Zx9"

        self.send(delivery())

        sent = self.seen[0][1]["authorization"]
        assert sent == "Bearer another-token-of-the-Tests-4Zx9"
