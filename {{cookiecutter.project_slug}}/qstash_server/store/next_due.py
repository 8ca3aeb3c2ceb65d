"""The next times at which work is due, in one query."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection

from ..models import NEVER
from ..models import Message
from ..models import State

# Each part reads one index entry.
EARLIEST = """
    SELECT
        (SELECT due FROM qstash_server_message
            WHERE state = 'waiting' AND lane_id IS NULL {besides}
            ORDER BY due, id LIMIT 1),
        (SELECT wake_at FROM qstash_server_lane
            ORDER BY wake_at LIMIT 1),
        (SELECT next_at FROM qstash_server_schedule
            WHERE NOT paused ORDER BY next_at LIMIT 1)
"""


@dataclass(frozen=True)
class NextDue:
    """The earliest times (Unix milliseconds) at which each kind is due."""

    message: int  # outside all lanes
    lane: int
    schedule: int

    @property
    def first(self) -> int:
        return min(self.message, self.lane, self.schedule)


def earliest(besides: Collection[str] = ()) -> NextDue:
    """Return the next due times, without messages to hosts in `besides`."""
    marks = ", ".join("%s" for _ in besides)
    condition = f"AND host NOT IN ({marks})" if besides else ""
    with connection.cursor() as cursor:
        cursor.execute(EARLIEST.format(besides=condition), [*besides])
        row = cursor.fetchone()
    return NextDue(*(NEVER if moment is None else moment for moment in row))


def overdue(now: int) -> int:
    """Count messages that are due and not yet claimed."""
    return Message.objects.filter(state=State.WAITING, due__lte=now).count()
