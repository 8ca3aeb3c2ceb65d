"""A real site: gunicorn and the embedded QStash server, over HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contender import PROJECT
from benchmarks.contenders.wire import free_ports

HOST = "127.0.0.1"
THREADS = 4  # of each gunicorn worker
PATIENCE = 60.0  # seconds until both have to listen


def addresses() -> dict[str, str]:
    """Return the variables that point to two free ports of this machine."""
    site, qstash = free_ports(2)
    return {
        "DJANGO_HOOKFLOW_DOMAIN": f"http://{HOST}:{site}",
        "QSTASH_URL": f"http://{HOST}:{qstash}",
    }


@contextmanager
def serving(
    variables: Mapping[str, str], workers: int, log: Path
) -> Iterator[None]:
    """Yield both servers, until the block ends. The database is migrated."""
    site = port_of(variables["DJANGO_HOOKFLOW_DOMAIN"])
    qstash = port_of(variables["QSTASH_URL"])
    commands = (
        [sys.executable, "manage.py", "qstash_server", "--port", str(qstash)],
        [sys.executable, "-m", "gunicorn", "config.wsgi:application",
         "--bind", f"{HOST}:{site}", "--workers", str(workers),
         "--threads", str(THREADS), "--log-level", "error"],
    )  # fmt: skip
    with ExitStack() as stack:
        for command in commands:
            stack.enter_context(running(command, variables, log))
        for port in (qstash, site):
            wait_for(port)
        yield


@contextmanager
def running(
    command: list[str], variables: Mapping[str, str], log: Path
) -> Iterator[None]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


def wait_for(port: int) -> None:
    """Until something listens there; TimeoutError after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Nothing listens at {port}") from None
            time.sleep(0.05)
