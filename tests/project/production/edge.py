"""The proxy before a deployed site: TLS ends here, in the tests unspoken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from typing import Any
from typing import TypeVar

HOST = "127.0.0.1"
# One request a connection, so that none passes without the header.
SAID_BY_A_PROXY = b"X-Forwarded-Proto: https\r\nConnection: close\r\n"
HEAD_ENDS = b"\r\n\r\n"
CHUNK = 64 * 1024

T = TypeVar("T")


@contextmanager
def edge(port: int, site_port: int) -> Iterator[None]:
    """Pass what comes to `port` on to `site_port`, as if it came by TLS."""

    serving: set[asyncio.Task[None] | None] = set()

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # The loop keeps no task alive that waits for a stream.
        task = asyncio.current_task()
        serving.add(task)
        # When caller or site closes the connection, the other sees it too.
        with suppress(OSError, asyncio.IncompleteReadError):
            await _pass_on(reader, writer, site_port)
        writer.close()
        serving.discard(task)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="edge")
    thread.start()
    try:
        server = _on(
            loop, asyncio.start_server(serve, HOST, port, backlog=2048)
        )
        yield
        loop.call_soon_threadsafe(server.close)
    finally:
        _on(loop, _end())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, site_port: int
) -> None:
    head = await reader.readuntil(HEAD_ENDS)
    line, _, rest = head.partition(b"\r\n")
    from_site, to_site = await asyncio.open_connection(HOST, site_port)
    try:
        to_site.write(line + b"\r\n" + SAID_BY_A_PROXY + rest)
        upload = asyncio.create_task(_copy(reader, to_site))
        await _copy(from_site, writer)
        upload.cancel()
    finally:
        to_site.close()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


async def _end() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _on(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]
) -> T:
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
