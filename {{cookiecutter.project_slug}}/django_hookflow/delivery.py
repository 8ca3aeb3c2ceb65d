"""The message that a transport carries: it asks to move one run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django_hookflow.exceptions import NON_RETRYABLE
from django_hookflow.exceptions import InvalidDelivery

WIRE = ("run_id", "workflow_id", "token")

# Raised by reading text that is not JSON, has other keys, or is too deep.
UNREADABLE = (ValueError, TypeError, LookupError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    run_id: str
    workflow_id: str
    token: str  # the run's wake token when it was sent
    not_before: datetime | None = None  # aware; None is at once
    repeat: int = 0  # counts up when the sweeper sends the same token again

    def encode(self) -> bytes:
        """Return some 200 bytes, whatever the state of the run."""
        return json.dumps(
            {name: getattr(self, name) for name in WIRE}
        ).encode()

    @classmethod
    def decode(cls, body: bytes) -> Delivery:
        """Return the delivery in `body`, or raise InvalidDelivery."""
        try:
            fields = json.loads(body)
            values: Any = {name: _text(fields[name]) for name in WIRE}
            return cls(**values)
        except UNREADABLE as error:
            raise InvalidDelivery(
                f"Invalid body of a delivery: {error!r}",
                status=NON_RETRYABLE,
                kind="malformed",
            ) from error


def _text(value: Any) -> str:
    """Return `value`, or raise ValueError if a database cannot find it."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"{value!r} is not text without NUL")
    value.encode()  # UnicodeEncodeError, for half a surrogate pair
    return value
