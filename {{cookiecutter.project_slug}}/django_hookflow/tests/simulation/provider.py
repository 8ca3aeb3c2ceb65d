"""A provider that steps call over real HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from typing import ClassVar

from django_hookflow.tests.serving import serving


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
    with serving(Provider) as Provider.url:
        yield
