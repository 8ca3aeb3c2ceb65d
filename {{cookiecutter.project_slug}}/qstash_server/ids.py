"""Identifiers that look like those of the service."""

from __future__ import annotations

import os

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
LENGTH = 28


def new_id(prefix: str) -> str:
    """Return `prefix` and 28 random characters, such as "msg_…"."""
    number = int.from_bytes(os.urandom(LENGTH), "big")
    letters = []
    for _ in range(LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[rest])
    return f"{prefix}_{''.join(letters)}"
