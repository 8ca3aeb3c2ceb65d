"""HTTP requests of steps: the only module that uses httpx for them."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from django_hookflow import bodies
from django_hookflow import clock
from django_hookflow.conf import conf
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RetryableError

# Statuses that are worth another attempt, beside all of 5xx.
TRY_AGAIN = frozenset({408, 425, 429})

# What perform() raises when its time is up.
TimedOut = httpx.TimeoutException

SECONDS = re.compile(r"\d{1,12}(\.\d*)?", re.ASCII)

# The texts of these come from the operating system. The others repeat headers
# and addresses, which may hold secrets.
OUTSPOKEN = (httpx.NetworkError, httpx.TimeoutException, httpx.ProxyError)

SENTENCES: dict[type[Exception], str] = {
    httpx.InvalidURL: "the address is not a URL",
    httpx.UnsupportedProtocol: (
        "the address has no http:// or https://; write the whole URL"
    ),
    httpx.LocalProtocolError: (
        "the request cannot be sent, since a header has a name or value that "
        "HTTP does not allow. Often a secret was read from a file with its "
        "line break: use .strip()"
    ),
    httpx.RemoteProtocolError: (
        "the connection was closed before the answer ended, or the answer is "
        "not HTTP"
    ),
}


@dataclass(frozen=True, slots=True)
class Call:
    """A request to make."""

    url: str
    method: str
    body: Any  # dict or list goes as JSON, text and bytes as they are
    headers: Mapping[str, str]
    timeout: float = 30  # seconds, for all of it

    def perform(self) -> dict[str, Any]:
        """Return `{"status_code": int, "data": JSON, text, bytes or None}`.

        Raises RetryableError for a status that is worth another attempt,
        httpx.TransportError without an answer, and PermanentError for an
        answer that cannot be read or recorded.
        """
        try:
            with (
                _within(self.timeout) as trace,
                httpx.Client(timeout=self.timeout) as client,
                self._answering(client, trace) as response,
            ):
                return self._answer(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The original is left out: tracebacks would repeat its text.
            said = f"{self._request}: {safe_text(error)}"
            raise type(error)(said) from None

    def _answering(
        self, client: httpx.Client, trace: _Clock
    ) -> AbstractContextManager[httpx.Response]:
        headers = httpx.Headers(dict(self.headers))
        headers.setdefault("Accept-Encoding", bodies.ENCODINGS)
        return client.stream(
            self.method,
            self.url,
            headers=headers,
            extensions={"trace": trace},
            **self._content(),
        )

    def _answer(self, response: httpx.Response) -> dict[str, Any]:
        """Look at the status before the body is read, which may fail."""
        status = response.status_code
        said = f"{self._request} answered {status}"
        if is_retryable_status(status):
            after = _retry_after(response.headers)
            raise RetryableError(said, retry_after=after)
        try:
            body = bodies.joined(
                response.iter_raw(),
                response.headers.get("content-encoding", ""),
                conf.DJANGO_HOOKFLOW_MAX_VALUE_BYTES,
            )
        # The request was received: repeating it would do its work twice.
        except bodies.BodyError as error:
            raise PermanentError(
                f"{said}, and its body {error}. Ask its provider; the request "
                "is not repeated."
            ) from error
        kind = response.headers.get("content-type", "")
        return {"status_code": status, "data": bodies.read(body, kind)}

    @property
    def _request(self) -> str:
        return f"{self.method} {safe_address(self.url)}"

    def _content(self) -> dict[str, Any]:
        if self.body is None:
            return {}
        if isinstance(self.body, str | bytes):
            return {"content": self.body}
        return {"json": self.body}


def is_retryable_status(status: int) -> bool:
    """True when the same request may succeed later."""
    return status >= 500 or status in TRY_AGAIN


def safe_address(url: object) -> str:
    """Return a URL without user, password, query and fragment."""
    try:
        parsed = httpx.URL(str(url))
    except httpx.InvalidURL:
        return "an address that is not a URL"
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        return "an address without http:// or https://"
    return str(parsed.copy_with(userinfo=b"", query=None, fragment=None))


def safe_text(error: BaseException) -> str:
    """Return the text of an httpx error without headers and addresses."""
    if isinstance(error, OUTSPOKEN):
        return str(error) or type(error).__name__
    for kind, sentence in SENTENCES.items():
        if isinstance(error, kind):
            return sentence
    return type(error).__name__


@dataclass(slots=True)
class _Clock:
    """Ends a call when its time is up, whatever it waits for.

    httpx limits each read by itself, so an answer that comes byte by byte
    never ends. httpcore calls this as its trace for each new connection
    (https://www.encode.io/httpcore/extensions/, 2026-08).
    """

    streams: list[Any] = field(default_factory=list)
    is_over: bool = False

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event in {
            "connection.connect_tcp.complete",
            "connection.start_tls.complete",
        }:
            self.streams.append(info["return_value"])
            if self.is_over:
                self.end()

    def end(self) -> None:
        self.is_over = True
        for stream in self.streams:
            _shut(stream.get_extra_info("socket"))


def _shut(sock: Any) -> None:
    """Wake the thread that reads from a socket; closing would not.

    A TLS socket's own method would change the state of that read.
    """
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except (OSError, TypeError):  # it is closed already
        return


@contextmanager
def _within(seconds: float) -> Iterator[_Clock]:
    limit = _Clock()
    timer = threading.Timer(seconds, limit.end)
    timer.daemon = True
    timer.start()
    try:
        yield limit
    except httpx.HTTPError as error:
        if limit.is_over:
            raise httpx.ReadTimeout(f"not done after {seconds:g} s") from error
        raise
    finally:
        timer.cancel()
    # An answer without a length ends where its connection does.
    if limit.is_over:
        raise httpx.ReadTimeout(f"not done after {seconds:g} s")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of the header, which may be a date; else None."""
    value = headers.get("retry-after", "").strip()
    if SECONDS.fullmatch(value):
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        return max(0.0, (until - clock.now()).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


class _WithoutQueries(logging.Filter):
    """Shortens the addresses that httpx logs with their queries."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                safe_address(arg) if isinstance(arg, httpx.URL) else arg
                for arg in record.args
            )
        return True


logging.getLogger("httpx").addFilter(_WithoutQueries())
