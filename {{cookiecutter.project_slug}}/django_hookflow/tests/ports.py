"""Ports of this machine on which no process listens."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from contextlib import suppress

HOST = "127.0.0.1"
# Below those that a kernel gives to outgoing connections, so that none of them
# is taken between the moment it is found free and the start of a server.
CANDIDATES = range(10_000, 32_768)


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return so many different ports."""
    draw = random.SystemRandom()
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = draw.choice(CANDIDATES)
            probe = held.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind((HOST, port))
                found.append(port)
    return found
