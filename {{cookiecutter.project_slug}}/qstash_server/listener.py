"""The HTTP server: raw request targets, few threads, bounded connections.

One event loop reads requests and writes responses; a request is handed to
a worker thread only when all of it is there, so slow clients cost nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from http import HTTPStatus

import h11

from .conf import Config
from .framing import is_framed_twice
from .options import Pairs
from .replies import Reply
from .replies import failed

CHUNK = 64 * 1024
MAX_HEAD = 64 * 1024  # request line and headers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """A request as it came: `target` is raw, header values are latin-1."""

    method: str
    target: str
    headers: Pairs
    body: bytes = b""
    client: str = ""  # the address of the peer

    def header(self, name: str) -> str:
        """Return the last value of a header by its lower-case name, or ""."""
        found = ""
        for key, value in self.headers:
            if key.lower() == name:
                found = value
        return found


Handle = Callable[[Request], Awaitable[Reply]]
# How many bytes of a request's body to keep, by its head. The rest is read
# and thrown away: a stranger must not fill the memory, but gets an answer.
Worth = Callable[[Request], int]


@dataclass
class Listener:
    """Serves `handle` on connections that asyncio has accepted."""

    handle: Handle
    worth: Worth
    config: Config
    _bodies: _Budget = field(init=False)
    _open: dict[asyncio.Task[None], asyncio.StreamWriter] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        most = max(self.config.max_bodies, self.config.max_request)
        self._bodies = _Budget(most)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer the requests of one connection until it ends."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        peer = _Peer(reader, writer, self.config, self.worth)
        try:
            if len(self._open) > self.config.max_connections:
                await peer.farewell(failed(503, "too many connections"))
            else:
                await self._requests(peer)
        except OSError:
            pass  # gone or too slow (TimeoutError): no client to tell
        finally:
            writer.close()
            del self._open[task]

    async def close(self) -> None:
        """End all connections, after the answers that are being written."""
        for writer in self._open.values():
            writer.close()
        await asyncio.gather(*self._open)

    async def _requests(self, peer: _Peer) -> None:
        keep = True
        while keep:
            try:
                reply = await self._reply(peer)
            except REFUSED as error:
                await peer.farewell(self._refusal(error))
                return
            if reply is None:
                return
            keep = await peer.reply(reply)

    async def _reply(self, peer: _Peer) -> Reply | None:
        """Read and answer a request; return None at the end.

        A slow reader of the answer must not keep a body in memory.
        """
        with self._bodies.share() as share:
            request = await peer.request(share)
            return None if request is None else await self.handle(request)

    def _refusal(self, error: Exception) -> Reply:
        if isinstance(error, h11.RemoteProtocolError):
            return failed(error.error_status_hint, str(error))
        if isinstance(error, _NoMemoryError):
            busy = failed(503, "too many bytes of other requests")
            return busy.with_headers((("Retry-After", "1"),))
        most = self.config.max_request
        return failed(413, f"a request has at most {most} bytes")


class _TooLargeError(Exception):
    """A body beyond all quotas."""


class _NoMemoryError(Exception):
    """The bodies of other requests leave no room for this one."""


REFUSED = (h11.RemoteProtocolError, _TooLargeError, _NoMemoryError)


@dataclass
class _Budget:
    """Bytes that the bodies of all requests may have together."""

    left: int

    @contextlib.contextmanager
    def share(self) -> Iterator[_Share]:
        """The memory that one request holds until it is answered."""
        share = _Share(self)
        try:
            yield share
        finally:
            self.left += share.taken


@dataclass
class _Share:
    budget: _Budget
    taken: int = 0

    def take(self, size: int) -> None:
        """Reserve so many more bytes, or raise _NoMemoryError.

        Never waits: requests that hold bytes could wait for each other.
        """
        if size > self.budget.left:
            raise _NoMemoryError
        self.budget.left -= size
        self.taken += size


class _Peer:
    """The other end of a connection, in terms of requests and replies."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        config: Config,
        worth: Worth,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._worth = worth
        self._config = config
        self._http = h11.Connection(
            h11.SERVER, max_incomplete_event_size=MAX_HEAD
        )
        address = writer.get_extra_info("peername")
        self._client = str(address[0]) if address else ""
        self._head_only = False  # whether the request is a HEAD
        self._last = False  # whether no request may follow

    async def request(self, share: _Share) -> Request | None:
        """Return the next request, or None when the client has none."""
        async with asyncio.timeout(self._config.idle_seconds):
            head = await self._event()
        if not isinstance(head, h11.Request):
            return None
        if _declared(head) > self._config.max_request:
            raise _TooLargeError
        self._head_only = head.method == b"HEAD"
        self._last = is_framed_twice(head)
        if self._http.they_are_waiting_for_100_continue:
            await self._go_on()
        request = _request(head, self._client)
        async with asyncio.timeout(self._config.read_seconds):
            body = await self._body(self._worth(request), share)
        return replace(request, body=body)

    async def reply(self, reply: Reply) -> bool:
        """Write a reply; return True if the connection can be used again."""
        head = h11.Response(
            status_code=reply.status,
            reason=HTTPStatus(reply.status).phrase,
            headers=[
                *reply.headers,
                ("Content-Length", str(len(reply.body))),
                *([("Connection", "close")] if self._last else []),
            ],
        )
        data = self._http.send(head) or b""
        if not self._head_only:
            data += self._http.send(h11.Data(data=reply.body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        self._writer.write(data)
        await self._sent()
        return self._next_cycle()

    async def farewell(self, reply: Reply) -> None:
        """Write a reply, and say that it is the last."""
        self._last = True
        await self.reply(reply)

    async def _sent(self) -> None:
        """Close a connection whose client does not read its answer."""
        try:
            async with asyncio.timeout(self._config.read_seconds):
                await self._writer.drain()
        except TimeoutError:
            self._writer.transport.abort()
            raise

    def _next_cycle(self) -> bool:
        try:
            self._http.start_next_cycle()
        except h11.LocalProtocolError:
            return False  # one of us wants to close
        return True

    async def _body(self, keep: int, share: _Share) -> bytes:
        parts, size = [], 0
        while isinstance(event := await self._event(), h11.Data):
            size += len(event.data)
            if size > self._config.max_request:
                raise _TooLargeError
            if size <= keep:
                share.take(len(event.data))
                parts.append(bytes(event.data))
        return b"".join(parts)

    async def _go_on(self) -> None:
        head = h11.InformationalResponse(status_code=100, headers=[])
        self._writer.write(self._http.send(head) or b"")
        await self._writer.drain()

    async def _event(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            self._http.receive_data(await self._reader.read(CHUNK))


def _request(head: h11.Request, client: str) -> Request:
    """A request whose body is not there yet."""
    return Request(
        head.method.decode("ascii"),
        head.target.decode("ascii"),
        tuple(
            (name.decode("ascii"), value.decode("latin-1"))
            for name, value in head.headers.raw_items()
        ),
        client=client,
    )


def _declared(head: h11.Request) -> int:
    for name, value in head.headers:
        if name == b"content-length":
            return int(value)
    return 0
