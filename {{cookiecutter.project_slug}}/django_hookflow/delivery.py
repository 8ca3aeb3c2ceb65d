"""The one thing that travels: a bell for one run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from django_hookflow.exceptions import NON_RETRYABLE
from django_hookflow.exceptions import InvalidDelivery

WIRE = ("run_id", "workflow_id", "token")


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
            values = {name: fields[name] for name in WIRE}
        except (ValueError, TypeError, LookupError) as error:
            raise InvalidDelivery(
                f"The body is no delivery: {error!r}",
                status=NON_RETRYABLE,
                kind="malformed",
            ) from error
        if not all(isinstance(value, str) for value in values.values()):
            raise InvalidDelivery(
                "The body is no delivery",
                status=NON_RETRYABLE,
                kind="malformed",
            )
        return cls(**values)
