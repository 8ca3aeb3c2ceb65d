"""A destination that can be told what to answer, and patience."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any
from typing import TypeVar

T = TypeVar("T")

DEADLINE = 120.0  # seconds; generous, since nothing waits this long


def until(look: Callable[[], T], deadline: float = DEADLINE) -> T:
    """Call `look` until it finds something, and return that."""
    end = time.monotonic() + deadline
    while not (found := look()):
        assert time.monotonic() < end, f"not found in time, last saw {found!r}"
        time.sleep(0.002)
    return found


@dataclass(frozen=True)
class Received:
    """One request as the destination saw it."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True)
class Answer:
    """The next answer of the destination."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b"ok"


@dataclass
class Destination:
    """A real HTTP server on loopback; `answers` are used up in order."""

    received: list[Received] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()
        handler = type("Handler", (_Handler,), {"destination": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,)
        )
        self._thread.start()

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, request: Received) -> Answer:
        """Return the answer to a request."""
        return self.answers.pop(0) if self.answers else Answer()

    def wait_for(self, count: int) -> list[Received]:
        """The requests, once there are `count` of them."""
        until(lambda: len(self.received) >= count)
        return self.received


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # a burst of connections resets none

    def handle_error(self, *args: Any) -> None:
        """Clients may go away before they have been answered."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    destination: Destination

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): v for name, v in self.headers.items()}
        body = self.rfile.read(size)
        request = Received(self.command, self.path, headers, body)
        self.destination.received.append(request)
        self.destination.gate.wait()
        answer = self.destination.answer(request)
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def __getattr__(self, name: str) -> Any:
        """do_GET, do_PUT and the others do the same."""
        if name.startswith("do_"):
            return self.do_POST
        raise AttributeError(name)

    def log_message(self, *args: Any) -> None:
        pass
