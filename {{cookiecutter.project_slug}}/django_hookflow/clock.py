"""The engine's only source of time, so that tests can move it."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from datetime import tzinfo
from functools import partial
from typing import TypeAlias

# Seconds, a timedelta, or text such as "90s", "1h30m", "7d".
Duration: TypeAlias = float | timedelta | str

NEVER = datetime.max.replace(tzinfo=UTC)  # the end of all time

UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
DURATION = re.compile(r"(\d+(?:\.\d+)?)([dhms])")


def now() -> datetime:
    """Return the present time, aware, in UTC."""
    return _source()


def in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    """Convert an aware time to a zone; out of range, to the first or last.

    West of Greenwich, the end of the year 9999 has no UTC.
    """
    try:
        return moment.astimezone(zone)
    except OverflowError:
        if moment.year == 1:
            return datetime.min.replace(tzinfo=zone)
        return datetime.max.replace(tzinfo=zone)


@contextmanager
def source(replacement: Callable[[], datetime]) -> Iterator[None]:
    """Take the time from `replacement` within the block."""
    global _source
    previous, _source = _source, replacement
    try:
        yield
    finally:
        _source = previous


def duration(value: Duration) -> timedelta:
    """Return `value` as a timedelta, or raise ValueError."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return _parse(value)
    return timedelta(seconds=value)


def checked(what: str, value: Duration, least: float = 0) -> timedelta:
    """Return a duration of `least` seconds or more, or raise ValueError.

    The error names it as `what`. It ends before the year 10000.
    """
    length = fitting(value)
    if length is None or length < timedelta(seconds=least):
        raise ValueError(
            f"Invalid {what} {value!r}, expected {least:g} seconds or more, "
            'as a number, a timedelta, or text such as "30s", "5m", "1h" or '
            '"7d", that end before the year 10000.'
        )
    return length


def fitting(value: Duration) -> timedelta | None:
    """Return a duration that ends before the year 10000; None for others."""
    try:
        length = duration(value)
        now() + length
    except (TypeError, ValueError, OverflowError):
        return None
    return length


def later(moment: datetime, length: timedelta) -> datetime:
    """Return the time so long after another; at most the end of all time."""
    try:
        return moment + length
    except OverflowError:
        return NEVER


def _parse(text: str) -> timedelta:
    parts = DURATION.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        raise ValueError(
            f"Invalid duration {text!r}, expected seconds as a number, or "
            'text such as "90s" or "1d12h".'
        )
    return sum(
        (timedelta(**{UNITS[unit]: float(n)}) for n, unit in parts),
        timedelta(),
    )


_source: Callable[[], datetime] = partial(datetime.now, UTC)
