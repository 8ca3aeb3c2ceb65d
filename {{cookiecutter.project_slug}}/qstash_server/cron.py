"""Cron lines: five fields, and a time zone in front if there is one.

    */15 9-17 * * MON-FRI
    CRON_TZ=Europe/Berlin 0 9 1 JAN,JUL *

Lists, ranges, steps and English names. `@daily`, seconds, `L`, `W`, `#` are
refused: the service does not document them (choice 16). An hour that a
change to summer time skips has no runs; one that occurs twice has one run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from datetime import tzinfo
from zoneinfo import ZoneInfo

from .clock import SECOND

MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN"]
MONTHS += ["JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
HORIZON = 366 * 9  # days; a 29 February is at most eight years away
PART = re.compile(r"(\*|\w+(?:-\w+)?)(?:/(\d{1,4}))?", re.ASCII)


class CronError(ValueError):
    """The text is not a cron line; the message names the field."""


@dataclass(frozen=True)
class Cron:
    """The moments that a cron line means."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    any_day: bool  # the day of the month begins with *
    any_weekday: bool
    zone: tzinfo

    def after(self, now: int) -> int | None:
        """Return the first moment after `now` (Unix milliseconds), if any."""
        start = datetime.fromtimestamp(now / SECOND, self.zone)
        for moment in self._moments(start):
            found = int(moment.timestamp()) * SECOND
            if found > now:
                return found
        return None

    def _moments(self, start: datetime) -> Iterator[datetime]:
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        for offset in range(-1, HORIZON):
            day = midnight.replace(tzinfo=None) + timedelta(days=offset)
            if self._has_day(day):
                yield from self._times(day)

    def _has_day(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        by_day = day.day in self.days
        by_weekday = day.isoweekday() % 7 in self.weekdays
        # Vixie's rule: two restrictions are alternatives.
        if self.any_day or self.any_weekday:
            return by_day and by_weekday
        return by_day or by_weekday

    def _times(self, day: datetime) -> Iterator[datetime]:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                local = day.replace(hour=hour, minute=minute)
                aware = local.replace(tzinfo=self.zone)  # the first of two
                if _exists(aware):
                    yield aware


def parse(text: str) -> Cron:
    """Parse a cron line, or raise CronError."""
    zone: tzinfo = UTC
    text = text.strip()
    if text.startswith("CRON_TZ="):
        name, _, text = text.removeprefix("CRON_TZ=").partition(" ")
        zone = _zone(name)
    fields = text.split()
    if len(fields) != 5:
        raise CronError(f"five fields expected, found {len(fields)}")
    minute, hour, day, month, weekday = fields
    return Cron(
        minutes=_values("minute", minute, 0, 59),
        hours=_values("hour", hour, 0, 23),
        days=_values("day of month", day, 1, 31),
        months=_values("month", month, 1, 12, MONTHS),
        weekdays=frozenset(
            value % 7 for value in _values("day of week", weekday, 0, 7, DAYS)
        ),
        any_day=day.startswith("*"),
        any_weekday=weekday.startswith("*"),
        zone=zone,
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise CronError(f"unknown time zone {name!r}") from error


def _values(
    field: str, text: str, low: int, high: int, names: list[str] | None = None
) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        match = PART.fullmatch(part)
        if match is None:
            raise CronError(f"{field}: {part!r} is not understood")
        first, last = _range(field, match[1], low, high, names or [])
        if match[2] and "-" not in part and match[1] != "*":
            last = high  # "5/15" means from 5 on
        step = int(match[2] or 1)
        if step == 0 or first > last:
            raise CronError(f"{field}: {part!r} is empty")
        values |= set(range(first, last + 1, step))
    return frozenset(values)


def _range(
    field: str, text: str, low: int, high: int, names: list[str]
) -> tuple[int, int]:
    if text == "*":
        # Sunday is 0 and 7; all days are 0 to 6, for the sake of steps.
        return low, min(high, 6) if field == "day of week" else high
    first, _, last = text.partition("-")
    start = _number(field, first, low, high, names)
    return start, _number(field, last, low, high, names) if last else start


def _number(
    field: str, text: str, low: int, high: int, names: list[str]
) -> int:
    if text.upper() in names:
        return names.index(text.upper()) + low
    if not text.isdigit() or not low <= int(text) <= high:
        raise CronError(f"{field}: {text!r} is not between {low} and {high}")
    return int(text)


def _exists(local: datetime) -> bool:
    """True if a local time occurs: clocks that spring forward skip some."""
    back = local.astimezone(UTC).astimezone(local.tzinfo)
    return back.replace(tzinfo=None) == local.replace(tzinfo=None)
