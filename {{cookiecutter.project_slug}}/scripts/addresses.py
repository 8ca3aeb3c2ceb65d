"""The addresses of the site and the QStash server on this machine."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PROJECT = Path(__file__).resolve().parent.parent

HOST = "127.0.0.1"
LOOPBACK = frozenset({HOST, "localhost", "::1"})


@dataclass(frozen=True)
class Addresses:
    """The ports of both listeners."""

    site_port: int
    qstash_port: int

    @property
    def site(self) -> str:
        return f"http://{HOST}:{self.site_port}"

    @property
    def qstash(self) -> str:
        return f"http://{HOST}:{self.qstash_port}"

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables to set for these ports.

        What `given` points to another machine (the QStash service, a public
        address, a real payment provider) stays as it is.
        """
        ours = {
            "QSTASH_URL": self.qstash,
            "DJANGO_HOOKFLOW_DOMAIN": self.site,
            "PAYMENTS_URL": f"{self.site}/sandbox",  # sample
        }
        return {
            name: value
            for name, value in ours.items()
            if is_here(given.get(name) or value)
        }


def pick(site_port: int = 0, qstash_port: int = 0) -> Addresses:
    """Return these ports, or free ones for those that are 0 or taken."""
    with ExitStack() as held:  # both, so that no port is picked twice
        site, qstash = (
            held.enter_context(listener(port))
            for port in (site_port, qstash_port)
        )
        return Addresses(site.getsockname()[1], qstash.getsockname()[1])


def is_free(port: int) -> bool:
    """Return True if `port` is valid and no process listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen()
        except (OSError, OverflowError):  # taken, not ours, beyond 65535
            return False
        return True


def is_here(url: str) -> bool:
    """Return True if `url` is an address of this machine."""
    return urlsplit(url).hostname in LOOPBACK


def listener(port: int) -> socket.socket:
    """Return a socket at `port`, or at a free one if that is taken."""
    probe = socket.socket()
    # As the servers do: a port whose last connections linger is free.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind((HOST, port if port and is_free(port) else 0))
    probe.listen()
    return probe


def read_variables(path: Path = PROJECT / ".env") -> dict[str, str]:
    """Return the variables of the .env file; none without a file."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {
        name.strip(): value.strip().strip("'\"")
        for name, equals, value in pairs
        if equals
    }
