"""The values that the workflow of a run and its activities exchange.

Standard library only: Temporal's sandbox imports this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime

# Names in the histories of executions under way: never change them.
WORKFLOW = "HookflowRun"
WAKE = "wake"
ADVANCE = "hookflow_advance"
REQUEST_CANCEL = "hookflow_request_cancel"

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Wake:
    """A delivery, as a signal carries it.

    `due`: ISO 8601 with the time zone; empty is at once. `patience`: seconds
    without a sign of life after which a worker counts as dead.
    """

    run_id: str
    workflow_id: str
    token: str
    due: str = ""
    repeat: int = 0
    patience: float = 30

    def merged(self, older: Wake | None) -> Wake:
        """Return this one, due when the first of both is.

        The older token may be the live one if signals were late. Then the
        engine answers that this one is stale, and which one is live.
        """
        if older is None or self.due_at <= older.due_at:
            return self
        return replace(self, due=older.due)

    @property
    def due_at(self) -> datetime:
        return datetime.fromisoformat(self.due) if self.due else LONG_AGO


@dataclass(frozen=True)
class Standing:
    """How the row of a run stands after a delivery.

    `status`: empty if there is no row. `wake`: the next delivery, or None if
    none is due; a signal brings one later.
    """

    status: str
    is_finished: bool
    wake: Wake | None = None
