"""An external system, whose state no backup of ours restores."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

from django_hookflow.tests.http.stack import HOST


@dataclass
class Bank:
    url: str
    keys: list[str] = field(default_factory=list)  # of all requests, in order


@contextmanager
def bank() -> Iterator[Bank]:
    """Yield a bank that is open while the block lasts."""

    class Counter(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            opened.keys.append(self.headers["Idempotency-Key"])
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer((HOST, 0), Counter)
    opened = Bank(f"http://{HOST}:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever, name="bank")
    thread.start()
    try:
        yield opened
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
