"""Repair rows that were written while the clock was ahead.

`--time-scale` or a corrected wall clock can leave times in the future.
Without the repair, schedules would pause and deduplication would last until
the real time catches up.
"""

from __future__ import annotations

import contextlib

from ..conf import Config
from ..cron import CronError
from ..models import Deduplication
from ..models import Schedule
from .schedules import next_after
from .writing import written


@written
def apply(now: int, config: Config) -> None:
    """Move times in the future back to the present."""
    Deduplication.objects.filter(
        expires_at__gt=now + config.deduplicate_for
    ).delete()
    ahead = Schedule.objects.filter(paused=False, next_at__gt=now)
    for pk, line, moment in ahead.values_list("pk", "cron", "next_at"):
        with contextlib.suppress(CronError):  # reported when it is due
            if (sooner := next_after(line, now)) < moment:
                ahead.filter(pk=pk).update(next_at=sooner)
