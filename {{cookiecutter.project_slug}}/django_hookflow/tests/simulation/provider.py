"""A provider that steps call over real HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any
from typing import ClassVar


class Provider(BaseHTTPRequestHandler):
    """POST /2/ is answered with 503 twice, by its key, and then with 200."""

    url: ClassVar[str] = ""  # of the one that runs
    asked: ClassVar[Counter[str]] = Counter()  # how often, by idempotency key

    def do_POST(self) -> None:
        key = self.headers["Idempotency-Key"]
        self.asked[key] += 1
        is_away = self.asked[key] <= int(self.path.strip("/"))
        body = b"" if is_away else f'{{"done": "{key}"}}'.encode()
        self.send_response(503 if is_away else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def provider() -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        Provider.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield
        server.shutdown()
        thread.join()
