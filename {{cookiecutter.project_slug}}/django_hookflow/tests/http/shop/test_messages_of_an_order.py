"""Every message of an order, checked by the official Receiver on its way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

import pytest
from qstash import Receiver

from django_hookflow.tests.http.shop.shop import Shop
from django_hookflow.tests.http.stack import DIRECT
from django_hookflow.tests.http.stack import HOST

pytestmark = [pytest.mark.http, pytest.mark.slow]


def test_an_order_goes_over_the_wire_in_three_messages(stack: Shop) -> None:
    with gate(stack) as messages:
        stack.start_qstash()
        stack.start_site()

        order = stack.place_order("MUG-01")
        stack.wait_for(lambda: len(messages) == 2)
        ended = stack.get(f"/api/orders/{order}/")

    assert (ended["status"], ended["run"]["status"]) == (
        "fulfilled",
        "completed",
    )
    # The first, that of the reminder, which is not due, and the payment's.
    assert messages == ["200 waiting", "200 completed"]
    sent = stack.rows("SELECT messages FROM django_hookflow_workflowrun")
    assert sent == [(3,)]


@contextmanager
def gate(stack: Shop) -> Iterator[list[str]]:
    """A reverse proxy before the site that forwards only genuine messages.

    Other requests, such as the payment's notification, wait until the first
    message has been answered: then the run waits for the payment.
    """
    answers: list[str] = []
    is_waiting = threading.Event()
    receiver = Receiver(
        current_signing_key=stack.secrets["QSTASH_CURRENT_SIGNING_KEY"],
        next_signing_key=stack.secrets["QSTASH_NEXT_SIGNING_KEY"],
    )

    class Gate(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.startswith("/hookflow/"):
                receiver.verify(
                    signature=self.headers["Upstash-Signature"],
                    body=body.decode(),
                    url=stack.domain + self.path,
                )
            else:
                assert is_waiting.wait(60)
            status, answer = forward(stack, self, body)
            if self.path.startswith("/hookflow/"):
                answers.append(f"{status} {said(answer)}")
                is_waiting.set()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer((HOST, 0), Gate)
    stack.domain = f"http://{HOST}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def forward(
    stack: Shop, request: BaseHTTPRequestHandler, body: bytes
) -> tuple[int, bytes]:
    headers = {k: v for k, v in request.headers.items() if k != "Host"}
    onward = Request(stack.site + request.path, body, headers)
    try:
        with DIRECT.open(onward, timeout=60) as response:
            return response.status, response.read()
    except HTTPError as error:
        return error.code, error.read()


def said(answer: bytes) -> str:
    return answer.decode().partition('"status": "')[2].partition('"')[0]
