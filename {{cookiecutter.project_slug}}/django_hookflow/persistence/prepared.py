"""What psycopg's connections have prepared for the hot path.

libpq is asked itself: psycopg's cursor takes more of the CPU than the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from weakref import WeakKeyDictionary


def prepared(raw: Any) -> Prepared:
    """That of a psycopg connection, which a pool lends to many threads."""
    return _prepared.setdefault(raw, Prepared(raw))


class Prepared:
    """The statements that a connection of psycopg has executed often."""

    def __init__(self, raw: Any) -> None:
        self._pgconn = raw.pgconn
        self._threshold = raw.prepare_threshold  # None is never
        self._executed: Counter[str] = Counter()
        self._names: dict[str, bytes] = {}

    def execute(self, statement: str, row: Sequence[Any]) -> int | None:
        """How many rows it changed; None if a cursor has to execute it.

        That is so when it failed, too: the cursor meets the same failure and
        knows its class, and what only this connection did not know of, such
        as DEALLOCATE ALL, is none to it.
        """
        name = self._names.get(statement) or self._prepare(statement)
        if name is None:
            return None
        values = [*map(_as_text, row)]
        if b"\0" in b"".join(filter(None, values)):
            return None  # libpq would cut it off there; psycopg refuses it
        result = self._pgconn.exec_prepared(name, values)
        if result.error_message:
            self._names.pop(statement)
            return None
        return int(result.command_tuples)

    def _prepare(self, statement: str) -> bytes | None:
        self._executed[statement] += 1
        threshold = self._threshold
        if threshold is None or self._executed[statement] <= threshold:
            return None
        name = self._names[statement] = _name(statement)
        # If it fails, so does the execution that follows; unless the server
        # has it from another client of its pooler, and then it is the same.
        self._pgconn.prepare(name, _numbered(statement))
        return name


def _name(statement: str) -> bytes:
    """The same on all connections, and no other statement's on any."""
    digest = sha256(statement.encode()).hexdigest()
    return f"hookflow_{digest[:32]}".encode()


def _numbered(statement: str) -> bytes:
    """A statement with $1, $2, … where it has %s."""
    first, *rest = statement.split("%s")
    numbered = (f"${n}{text}" for n, text in enumerate(rest, 1))
    return "".join([first, *numbered]).encode()


def _as_text(value: object) -> bytes | None:
    """A value as PostgreSQL reads it from text, times with their offset."""
    return None if value is None else str(value).encode()


_prepared: WeakKeyDictionary[Any, Prepared] = WeakKeyDictionary()
