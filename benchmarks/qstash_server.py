"""Measure the embedded QStash server: throughput, lateness, memory.

    python benchmarks/qstash_server.py                 # SQLite in a file
    python benchmarks/qstash_server.py --postgres      # a fresh PostgreSQL

Everything is a process of its own, as in life: the server
(`manage.py qstash_server`), a trivial ASGI receiver under gunicorn, and this
publisher. Run it with the Python of a project's environment.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
TOKEN = "token-of-the-tests"
BATCH = 100

arrivals: list[tuple[int, str]] = []


async def receiver(scope: Any, receive: Any, send: Any) -> None:
    """Answer 200 and note when each body came; GET returns them all."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = b"ok"
    if scope["method"] == "GET":
        answer = json.dumps(arrivals if body == b"" else []).encode()
        if scope["path"] == "/count":
            answer = str(len(arrivals)).encode()
        if scope["path"] == "/clear":
            arrivals.clear()
    else:
        arrivals.append((int(time.time() * 1000), body.decode()))
    length = str(len(answer)).encode()
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", length)],
        }
    )
    await send({"type": "http.response.body", "body": answer})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--delayed", type=int, default=500)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--settings", default="qstash_server.tests.settings")
    arguments = parser.parse_args()
    if arguments.postgres and "DATABASE_URL" not in os.environ:
        again = [sys.executable, __file__, *sys.argv[1:]]
        script = PROJECT / "scripts" / "with_postgres.py"
        sys.exit(subprocess.call([sys.executable, str(script), *again]))
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), arguments) as bench,
    ):
        bench.throughput(arguments.messages)
        bench.singles(arguments.messages // 5)
        bench.lateness(arguments.delayed)
        bench.memory(arguments.waiting)


class Bench:
    """The publisher."""

    def __init__(self, server: str, receiver: str, pid: int) -> None:
        self._http = httpx.Client(
            base_url=server,
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=60,
        )
        self._receiver = receiver
        self._pid = pid

    def throughput(self, count: int) -> None:
        """End to end: from the first publish to the last arrival."""
        self._clear()
        begin = time.perf_counter()
        for _ in range(count // BATCH):
            self._batch(BATCH, {})
        published = time.perf_counter() - begin
        self._wait_for(count)
        total = time.perf_counter() - begin
        show("published in batches of 100", f"{count / published:,.0f}/s")
        show("delivered end to end", f"{count / total:,.0f}/s")

    def singles(self, count: int) -> None:
        """The same with one request for each message."""
        self._clear()
        begin = time.perf_counter()
        for _ in range(count):
            self._publish("x", {})
        published = time.perf_counter() - begin
        self._wait_for(count)
        total = time.perf_counter() - begin
        show("published one by one", f"{count / published:,.0f}/s")
        show("  and delivered end to end", f"{count / total:,.0f}/s")

    def lateness(self, count: int) -> None:
        """How long after its time a delayed message arrives."""
        self._clear()
        for _ in range(count):
            due = int(time.time() * 1000) + 3000
            self._publish(str(due), {"Upstash-Delay": "3s"})
            time.sleep(0.005)
        self._wait_for(count)
        late = sorted(
            arrived - int(due)
            for arrived, due in httpx.get(self._receiver).json()
        )
        show("lateness p50", f"{statistics.median(late):.0f} ms")
        show("lateness p99", f"{late[int(len(late) * 0.99)]} ms")

    def memory(self, count: int) -> None:
        """Show the memory of the process while so many messages wait."""
        show("memory, nothing waiting", f"{self._megabytes():.0f} MB")
        begin = time.perf_counter()
        for _ in range(count // BATCH):
            self._batch(BATCH, {"Upstash-Delay": "1d"})
        seconds = time.perf_counter() - begin
        show(f"memory, {count:,} waiting", f"{self._megabytes():.0f} MB")
        show("  stored at", f"{count / seconds:,.0f}/s")
        self.throughput(1000)

    def _publish(self, body: str, headers: dict[str, str]) -> None:
        self._http.post(
            f"/v2/publish/{self._receiver}/", content=body, headers=headers
        ).raise_for_status()

    def _batch(self, count: int, headers: dict[str, str]) -> None:
        item = {
            "destination": f"{self._receiver}/",
            "headers": headers,
            "body": json.dumps({"order": 7, "note": "x" * 100}),
        }
        self._http.post("/v2/batch", json=[item] * count).raise_for_status()

    def _wait_for(self, count: int) -> None:
        while int(httpx.get(f"{self._receiver}/count").text) < count:
            time.sleep(0.02)

    def _clear(self) -> None:
        httpx.get(f"{self._receiver}/clear")

    def _megabytes(self) -> float:
        status = Path(f"/proc/{self._pid}/status").read_text()
        (line,) = (x for x in status.splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


@contextlib.contextmanager
def running(folder: Path, arguments: argparse.Namespace) -> Iterator[Bench]:
    environment = {
        "DATABASE_URL": f"sqlite:///{folder / 'bench.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": arguments.settings,
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
    } | os.environ
    django = [sys.executable, "-m", "django"]
    show("database", environment["DATABASE_URL"].partition(":")[0])
    subprocess.run(
        [*django, "migrate", "--verbosity=0"], env=environment, check=True
    )
    port = free_port()
    asgi = [sys.executable, "-m", "gunicorn", "-k", "asgi"]
    asgi += ["--bind", f"127.0.0.1:{port}", "--log-level", "error"]
    asgi += ["--no-control-socket", f"{Path(__file__).stem}:receiver"]
    with (
        process(asgi, environment, cwd=Path(__file__).parent),
        process(
            [*django, "qstash_server", "--port=0"],
            environment,
            stdout=subprocess.PIPE,
        ) as server,
    ):
        address = server.stdout.readline().split(" at ")[1].split()[0]
        receiver = f"http://127.0.0.1:{port}"
        wait_until_answers(receiver)
        yield Bench(address, receiver, server.pid)


@contextlib.contextmanager
def process(
    command: list[str], environment: dict[str, str], **options: Any
) -> Iterator[Any]:
    one = subprocess.Popen(command, env=environment, text=True, **options)
    try:
        yield one
    finally:
        one.terminate()
        one.wait()


def wait_until_answers(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{url}/count").raise_for_status()
            return
        time.sleep(0.05)
    sys.exit(f"nothing answers at {url}")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def show(what: str, value: str) -> None:
    print(f"{what:<32} {value:>14}", flush=True)


if __name__ == "__main__":
    main()
