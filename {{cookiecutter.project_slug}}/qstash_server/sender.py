"""Delivers messages: HTTP/1.1 with kept connections, byte-exact targets.

Runs on the event loop of the server. Failures of a destination raise nothing:
they become the error of the attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import SupportsIndex
from urllib.parse import SplitResult
from urllib.parse import urlsplit

import h11

from .framing import is_framed_twice
from .guard import Guard
from .ids import new_id
from .messages import Attempt
from .messages import Delivery
from .messages import Response
from .signing import sign
from .target import Address
from .target import address_of
from .wire import as_latin

CHUNK = 64 * 1024
IDLE_PER_HOST = 16  # connections kept open to one destination
REGION = "EU-CENTRAL-1"  # a hosted region; ours is not documented (choice 26)
# The error of Go's client when time is up, as in the service's logs.
TIMED_OUT = "context deadline exceeded"


class Sender:
    """Sends one delivery at a time for each task that calls it."""

    def __init__(
        self,
        guard: Guard,
        signing_key: Callable[[str], str],
        *,
        max_timeout: int,
        max_response: int,
        keep_seconds: float,
        routes: Mapping[str, Address],
    ) -> None:
        self._guard = guard
        self._signing_key = signing_key
        self._max_timeout = max_timeout
        self._max_response = max_response
        self._keep_seconds = keep_seconds
        self._routes = routes
        self._reaping = False
        self._idle: defaultdict[Address, list[_Connection]] = defaultdict(list)
        self._tls = ssl.create_default_context()

    async def deliver(self, delivery: Delivery) -> Attempt:
        """Make one attempt, from the signature to the last byte kept."""
        milliseconds = min(
            delivery.options.timeout or self._max_timeout, self._max_timeout
        )
        try:
            async with asyncio.timeout(milliseconds / 1000):
                response = await self._request(delivery)
        except TimeoutError:
            return Attempt(delivery, error=TIMED_OUT)
        except Exception as error:  # any failure of an address
            return Attempt(delivery, error=_reason(error))
        return Attempt(delivery, response)

    def close(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def _request(self, delivery: Delivery) -> Response:
        parts = urlsplit(delivery.url)
        # A route changes the address of the connection, not the signed one.
        address = self._routes.get(parts.hostname or "", address_of(parts))
        headers = self._headers(delivery, parts)
        request = h11.Request(
            method=delivery.options.method,
            target=_target(parts, delivery.url),
            headers=headers,
        )
        return await self._exchange(address, request, delivery.body)

    async def _exchange(
        self, address: Address, request: h11.Request, body: bytes
    ) -> Response:
        kept = self._kept(address)
        if kept is not None:
            # The destination may have closed a kept connection meanwhile;
            # then no byte of the answer comes, and a new one is tried.
            with contextlib.suppress(_StaleError):
                return await self._use(kept, address, request, body)
        fresh = await self._connect(address)
        return await self._use(fresh, address, request, body)

    async def _use(
        self,
        connection: _Connection,
        address: Address,
        request: h11.Request,
        body: bytes,
    ) -> Response:
        try:
            response = await connection.exchange(
                request, body, self._max_response
            )
        except BaseException:
            connection.close()
            raise
        idle = self._idle[address]
        if connection.reusable() and len(idle) < IDLE_PER_HOST:
            idle.append(connection)
            self._reap_later()
        else:
            connection.close()
        return response

    def _kept(self, address: Address) -> _Connection | None:
        idle = self._idle[address]
        while idle:
            connection = idle.pop()
            if connection.alive():
                return connection
            connection.close()
        return None

    def _reap_later(self) -> None:
        if not self._reaping:
            self._reaping = True
            loop = asyncio.get_running_loop()
            loop.call_later(self._keep_seconds, self._reap)

    def _reap(self) -> None:
        """Close connections idle for long; look again if some remain."""
        self._reaping = False
        since = time.monotonic() - self._keep_seconds
        for address, idle in list(self._idle.items()):
            for connection in [one for one in idle if one.idle_at <= since]:
                connection.close()
                idle.remove(connection)
            if not idle:
                del self._idle[address]
        if self._idle:
            self._reap_later()

    async def _connect(self, address: Address) -> _Connection:
        """Connect to an address that was checked, not to a name.

        Checking the name and then connecting by name would resolve it
        twice, and the second answer could be another one.
        """
        _, host, port = address
        error: OSError = OSError(f"{host} has no address")
        for ip in await _resolved(host, port):
            self._guard.check_address(host, ip)
            try:
                return await self._open(ip, address)
            except OSError as refused:
                error = refused
        raise error

    async def _open(self, ip: str, address: Address) -> _Connection:
        """Connect as asyncio.open_connection does, but with our own reader."""
        scheme, host, port = address
        loop = asyncio.get_running_loop()
        reader = _Reader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(
            lambda: protocol,
            ip,
            port,
            ssl=self._tls if scheme == "https" else None,
            server_hostname=host if scheme == "https" else None,
        )
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return _Connection(reader, writer)

    def _headers(
        self, delivery: Delivery, parts: SplitResult
    ) -> list[tuple[bytes, bytes]]:
        options = delivery.options
        names = {name.lower() for name, _ in options.headers}
        pairs = [("Host", parts.netloc)]
        if "user-agent" not in names:
            pairs.append(("User-Agent", "Upstash-QStash"))
        pairs += options.headers
        pairs += self._upstash_headers(delivery)
        # A GET carries its body if there is one (choice 11).
        if delivery.body or options.method != "GET":
            pairs.append(("Content-Length", str(len(delivery.body))))
        return [(n.encode(), v.encode("latin-1")) for n, v in pairs]

    def _upstash_headers(
        self, delivery: Delivery
    ) -> Iterable[tuple[str, str]]:
        # Signed again for each attempt, with the key that is current now
        # (choice 13): an old signature would have expired.
        yield (
            "Upstash-Signature",
            sign(
                self._signing_key(delivery.account),
                url=delivery.url,
                body=delivery.body,
                jti=new_id("jwt"),
                issued_at=int(time.time()),
            ),
        )
        yield "Upstash-Message-Id", delivery.message_id
        yield "Upstash-Retried", str(delivery.retried)
        yield "Upstash-Region", REGION
        for name, value in (
            ("Upstash-Topic-Name", delivery.topic_name),
            ("Upstash-Schedule-Id", delivery.schedule_id),
            ("Upstash-Caller-Ip", delivery.caller_ip),
            ("Upstash-Label", ",".join(delivery.options.labels)),
        ):
            if value:
                yield name, as_latin(value)


class _StaleError(Exception):
    """A kept connection was closed before any byte of an answer came."""


class _Reader(asyncio.StreamReader):
    """A reader that knows whether it holds unread bytes."""

    unread = 0

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        self.unread += len(bytes(data))
        super().feed_data(data)

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        self.unread -= len(data)
        return data

    def set_exception(self, exc: Exception) -> None:
        """Accept an answer although the rest of the request was not sent."""
        if self.unread:
            self.feed_eof()
        else:
            super().set_exception(exc)


@dataclass(eq=False)
class _Connection:
    """One connection, used again while both sides agree."""

    reader: _Reader
    writer: asyncio.StreamWriter

    def __post_init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT)
        self._used = False
        self._answered = False
        self._in_step = True  # whether both know where an answer ends
        self.idle_at = 0.0  # on the monotonic clock

    async def exchange(
        self, request: h11.Request, body: bytes, keep: int
    ) -> Response:
        """Send the request and read at most `keep` bytes of the answer."""
        self._answered = False
        try:
            self._send(request, body)
            head = await self._head()
        except (OSError, EOFError) as error:
            if self._used and not self._answered:
                raise _StaleError from error
            raise
        self._used = True
        self._in_step = not is_framed_twice(head)
        return Response(head.status_code, _pairs(head), await self._body(keep))

    def reusable(self) -> bool:
        """True if the next request may use this connection."""
        done = (self._http.our_state, self._http.their_state)
        if done != (h11.DONE, h11.DONE) or not self._is_clean():
            return False
        self._http.start_next_cycle()
        self.idle_at = time.monotonic()
        return True

    def alive(self) -> bool:
        """Refuse reuse if unread bytes could pass for the next response."""
        gone = self.reader.at_eof() or self.writer.is_closing()
        return not (gone or self.reader.unread)

    def _is_clean(self) -> bool:
        """True if this exchange has ended in both directions."""
        unsent = self.writer.transport.get_write_buffer_size()
        return self._in_step and not (
            unsent or self.reader.unread or self._http.trailing_data[0]
        )

    def close(self) -> None:
        self.writer.close()

    def _send(self, request: h11.Request, body: bytes) -> None:
        """Do not wait until all is sent: the answer may come before.

        A destination that refuses a body need not read it to the end.
        """
        data = self._http.send(request) or b""
        if body:
            data += self._http.send(h11.Data(data=body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        self.writer.write(data)

    async def _head(self) -> h11.Response:
        """Return the response after the informational ones."""
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                return event

    async def _body(self, keep: int) -> bytes:
        """Return the beginning of the body; the rest is never read."""
        body = bytearray()
        while len(body) <= keep:
            event = await self._event()
            if not isinstance(event, h11.Data):
                break
            body += event.data
        return bytes(body[:keep])

    async def _event(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            data = await self.reader.read(CHUNK)
            if not (data or self._answered):
                raise EOFError("connection closed without an answer")
            self._answered = True
            self._http.receive_data(data)


async def _resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a host; a literal address is its own."""
    with contextlib.suppress(ValueError):
        return [str(ip_address(host))]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def _target(parts: SplitResult, url: str) -> str:
    """Return path and query exactly as in the URL."""
    rest = url[len(parts.scheme) + 3 + len(parts.netloc) :]
    return rest if rest.startswith("/") else f"/{rest}"


def _pairs(head: h11.Response) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in head.headers.raw_items()
    )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
