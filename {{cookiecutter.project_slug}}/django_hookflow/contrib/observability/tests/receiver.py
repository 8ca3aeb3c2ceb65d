"""A Sentry that only listens: takes envelopes over HTTP and keeps them.

https://develop.sentry.dev/sdk/data-model/envelopes/ (2026-11)
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Item:
    headers: dict[str, Any]
    payload: bytes

    @property
    def type(self) -> str:
        return str(self.headers["type"])

    @property
    def content(self) -> Any:
        return json.loads(self.payload)


@dataclass
class Receiver:
    port: int
    requests: list[tuple[str, str]] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    @property
    def dsn(self) -> str:
        return f"http://public@127.0.0.1:{self.port}/42"

    def of(self, kind: str) -> list[Any]:
        """Return the items of a type: "event", "transaction", …"""
        return [item.content for item in self.items if item.type == kind]

    @property
    def text(self) -> str:
        """Return all that was sent, as text."""
        return "\n".join(item.payload.decode() for item in self.items)


@contextmanager
def listening() -> Iterator[Receiver]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.receiver = Receiver(server.server_port)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.receiver  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        receiver: Receiver = self.server.receiver  # type: ignore[attr-defined]
        receiver.items += parse(body)
        receiver.requests.append((self.path, self.headers["X-Sentry-Auth"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def parse(body: bytes) -> list[Item]:
    """Yield the items of an envelope: a line of headers, then the payload."""
    header, _, rest = body.partition(b"\n")
    assert isinstance(json.loads(header), dict)
    items = []
    while rest.strip():
        line, _, rest = rest.partition(b"\n")
        headers = json.loads(line)
        length = headers.get("length")
        if length is None:
            payload, _, rest = rest.partition(b"\n")
        else:
            payload, rest = rest[:length], rest[length:].removeprefix(b"\n")
        items.append(Item(headers, payload))
    return items
