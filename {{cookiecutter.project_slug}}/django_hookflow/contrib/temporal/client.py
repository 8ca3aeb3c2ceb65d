"""Clients of Temporal: one for each process, made at their first use.

A client lives in an event loop, and Temporal's library does not survive a
fork, so each process has a thread with a loop of its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import TypeVar

from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.runtime import TelemetryConfig
from temporalio.service import TLSConfig

from django_hookflow.contrib.temporal.conf import conf

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Server:
    """A namespace of a cluster, and what it takes to be let in."""

    address: str
    namespace: str
    api_key: str = field(default="", repr=False)
    tls: bool = False
    certificate: str = ""  # these are paths of PEM files
    private_key: str = field(default="", repr=False)
    authority: str = ""

    @classmethod
    def of_settings(cls) -> Server:
        return cls(
            address=conf.TEMPORAL_ADDRESS,
            namespace=conf.TEMPORAL_NAMESPACE,
            api_key=conf.TEMPORAL_API_KEY,
            tls=conf.TEMPORAL_TLS,
            certificate=conf.TEMPORAL_TLS_CERT,
            private_key=conf.TEMPORAL_TLS_KEY,
            authority=conf.TEMPORAL_TLS_CA,
        )

    async def client(
        self, runtime: Runtime | None = None, *, lazy: bool = False
    ) -> Client:
        """Return a client; a lazy one connects at its first call.

        Raises OSError if a file cannot be read, and RuntimeError if the
        server cannot be reached.
        """
        return await Client.connect(
            self.address,
            namespace=self.namespace,
            api_key=self.api_key or None,
            tls=self._tls(),
            runtime=runtime,
            lazy=lazy,
        )

    def _tls(self) -> TLSConfig | bool:
        files = (self.certificate, self.private_key, self.authority)
        if not any(files):
            return self.tls or bool(self.api_key)
        certificate, private_key, authority = map(_bytes_of, files)
        return TLSConfig(
            server_root_ca_cert=authority,
            client_cert=certificate,
            client_private_key=private_key,
        )


def call(do: Callable[[Client], Awaitable[T]], seconds: float) -> T:
    """Return what `do` returns for the client of the settings.

    It may be called in any thread. Raises TimeoutError after some seconds,
    and all that `do` raises.
    """
    loop = _loop()
    calling = loop.submit(do, Server.of_settings())
    try:
        return asyncio.run_coroutine_threadsafe(
            asyncio.wait_for(calling, seconds), loop.loop
        ).result()
    except TimeoutError:
        raise TimeoutError(f"timed out after {seconds:g} s") from None


class _Loop:
    """An event loop in a thread, and its clients."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.runtime = Runtime(telemetry=TelemetryConfig())
        self.clients: dict[Server, Client] = {}
        threading.Thread(
            target=self.loop.run_forever, name="hookflow-temporal", daemon=True
        ).start()

    async def submit(
        self, do: Callable[[Client], Awaitable[T]], server: Server
    ) -> T:
        if server not in self.clients:
            self.clients[server] = await server.client(self.runtime, lazy=True)
        return await do(self.clients[server])


_lock = threading.Lock()
_loops: list[_Loop] = []


def _loop() -> _Loop:
    with _lock:
        if not _loops:
            _loops.append(_Loop())
        return _loops[0]


def _forget() -> None:
    """Make a new loop in a child; the parent's has no thread there."""
    global _lock
    _lock = threading.Lock()
    _loops.clear()


def _bytes_of(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None


os.register_at_fork(after_in_child=_forget)
