"""What a clock that was ahead has left behind.

`--time-scale` moves it, and so does a wall clock that somebody corrects.
Without this, a schedule would sleep and a duplicate be one until the real
time has come as far.
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
def forget(now: int, config: Config) -> None:
    """Bring back to the present what depends on the time of writing."""
    Deduplication.objects.filter(
        expires_at__gt=now + config.deduplicate_for
    ).delete()
    ahead = Schedule.objects.filter(paused=False, next_at__gt=now)
    for pk, line, moment in ahead.values_list("pk", "cron", "next_at"):
        with contextlib.suppress(CronError):  # said when it is due
            if (sooner := next_after(line, now)) < moment:
                ahead.filter(pk=pk).update(next_at=sooner)
