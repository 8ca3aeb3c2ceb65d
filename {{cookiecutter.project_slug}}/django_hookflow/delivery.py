"""The one thing that travels: a bell for one run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django_hookflow.exceptions import NON_RETRYABLE
from django_hookflow.exceptions import InvalidDelivery

WIRE = ("run_id", "workflow_id", "token")

# What reading JSON that is none, or not ours, or too deep, raises.
NONSENSE = (ValueError, TypeError, LookupError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    run_id: str
    workflow_id: str
    token: str  # the run's wake token when it was sent
    not_before: datetime | None = None  # aware; None is at once
    ring: int = 0  # the sweeper numbers its bells, so that none is a duplicate

    def encode(self) -> bytes:
        """Some 200 bytes, whatever the state of the run."""
        return json.dumps(
            {name: getattr(self, name) for name in WIRE}
        ).encode()

    @classmethod
    def decode(cls, body: bytes) -> Delivery:
        """The delivery in `body`; InvalidDelivery if it can never be one."""
        try:
            fields = json.loads(body)
            values: Any = {name: _text(fields[name]) for name in WIRE}
            return cls(**values)
        except NONSENSE as error:
            raise InvalidDelivery(
                f"The body is no delivery: {error!r}",
                status=NON_RETRYABLE,
                kind="malformed",
            ) from error


def _text(value: Any) -> str:
    """`value` if a database can look for it, else ValueError."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"{value!r} is no text")
    value.encode()  # UnicodeEncodeError, for half a surrogate pair
    return value
