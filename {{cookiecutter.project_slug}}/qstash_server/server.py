"""The running server: a listener, a sender and a dispatcher together.

with Server(port=8080) as server:
    print(server.url)
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from .accounts import accounts_of
from .clock import Clock
from .clock import SystemClock
from .conf import Config
from .dispatcher import Dispatcher
from .guard import Guard
from .limits import BurstLimit
from .listener import Listener
from .listener import Request
from .messages import Delivery
from .pool import Pool
from .replies import Reply
from .router import Router
from .sender import Sender
from .service import KeyRing
from .service import Service

WORKERS = 32  # deliveries at the same time
API_THREADS = 8  # requests at the same time; each has a connection
BACKLOG = 512  # connections that wait to be accepted
GRACE = 2.0  # seconds that deliveries in flight get when we stop


class Server:
    """Serves the API and delivers, from `start` to `stop`."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        config: Config | None = None,
        clock: Clock | None = None,
        workers: int = WORKERS,
    ) -> None:
        self.config = config or Config.from_settings()
        self.clock = clock or SystemClock()
        self._address = (host, port)
        self._accounts = accounts_of(self.config)
        self._loop = asyncio.new_event_loop()
        # Each delivery may look up a name, and a name may take its time.
        self._loop.set_default_executor(ThreadPoolExecutor(workers))
        self._thread = threading.Thread(
            target=self._run_loop, name="qstash-loop", daemon=True
        )
        self._api = Pool(API_THREADS, "qstash-api")
        self._keys = KeyRing()
        guard = Guard.of(self.config)
        self._sender = Sender(
            guard,
            self._keys.current,
            max_timeout=self.config.quotas.max_timeout,
            max_response=self.config.max_response,
            keep_seconds=self.config.keep_seconds,
            routes=self.config.routes,
        )
        self._dispatcher = Dispatcher(
            self.clock,
            self._launch,
            self._drain,
            config=self.config,
            workers=workers,
        )
        self.service = Service(
            self.config,
            self.clock,
            guard,
            self._keys,
            self._dispatcher.wake,
            workers,
        )
        self._router = Router(
            self.service, self._accounts, BurstLimit(self.config.burst_limit)
        )
        self._listener = Listener(
            self._handle, self._router.worth, self.config
        )
        self._deliveries: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Its address, for QSTASH_URL; the port is known after the start."""
        host, port = self._address
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{port}"

    @property
    def attempts(self) -> int:
        """The number of attempts that have ended since the start."""
        return self._dispatcher.attempts

    def start(self) -> Server:
        """Start to answer requests and to deliver, in threads of its own.

        Raises OSError if the port is taken, DatabaseError without tables.
        """
        with contextlib.ExitStack() as undo:
            undo.callback(self._loop.close)
            sock = undo.enter_context(_bound(*self._address))
            self._address = (self._address[0], sock.getsockname()[1])
            self._api.start()
            undo.callback(self._api.stop)
            self._api.submit(self._load_keys).result()
            undo.pop_all()
        self._thread.start()
        self._call(self._listen(sock))
        self._dispatcher.start()
        return self

    def stop(self) -> None:
        """Stop taking requests, let deliveries end, release other messages."""
        self._call(self._close_listener())
        self._dispatcher.stop()  # which calls _drain
        self._api.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _load_keys(self) -> None:
        for account in self._accounts.values():
            self._keys.load(account)

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, coroutine: object) -> None:
        """Run a coroutine on the loop and wait for it."""
        assert asyncio.iscoroutine(coroutine)
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _listen(self, sock: socket.socket) -> None:
        self._asyncio_server = await asyncio.start_server(
            self._listener.serve, sock=sock, backlog=BACKLOG
        )

    async def _close_listener(self) -> None:
        self._asyncio_server.close()
        await self._listener.close()

    def _drain(self) -> None:
        """Wait for the deliveries in flight; called by the dispatcher."""
        self._call(self._end_deliveries())

    async def _end_deliveries(self) -> None:
        if self._deliveries:
            _, late = await asyncio.wait(self._deliveries, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._sender.close()

    async def _handle(self, request: Request) -> Reply:
        reply = self._api.submit(lambda: self._router.answer(request))
        return await asyncio.wrap_future(reply)

    def _launch(self, deliveries: Sequence[Delivery]) -> None:
        """Start the deliveries; called by the dispatcher's thread."""
        self._loop.call_soon_threadsafe(self._create_tasks, deliveries)

    def _create_tasks(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            task = self._loop.create_task(self._deliver(delivery))
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, delivery: Delivery) -> None:
        self._dispatcher.ended(await self._sender.deliver(delivery))


def start_in_background(host: str = "127.0.0.1", port: int = 0) -> Server:
    """Return a started server; call `stop` on it in the end."""
    return Server(host=host, port=port).start()


def _bound(host: str, port: int) -> socket.socket:
    """Return a listening socket, so that a port in use is an error here."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
