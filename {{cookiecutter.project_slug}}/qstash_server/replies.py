"""Responses of the server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

JSON = ("Content-Type", "application/json")


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def with_headers(self, headers: tuple[tuple[str, str], ...]) -> Reply:
        return Reply(self.status, self.body, (*self.headers, *headers))


def answer(value: Any, status: int = 200) -> Reply:
    """Answer with `value` as JSON."""
    text = json.dumps(value, separators=(",", ":"))
    return Reply(status, text.encode(), (JSON,))


def done() -> Reply:
    """Answer 200 without a body."""
    return Reply()


def failed(status: int, text: str) -> Reply:
    return answer({"error": text}, status)
