"""Parse durations as the API spells them."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

from .clock import DAY
from .clock import HOUR
from .clock import MINUTE
from .clock import SECOND

UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
WHOLE = re.compile(r"(?:\d{1,12}[dhms])+", re.ASCII)
FRACTIONAL = re.compile(r"(?:\d{1,12}(?:\.\d{1,9})?[dhms])+", re.ASCII)
PART = re.compile(r"(\d+(?:\.\d+)?)([a-zµ]+)", re.ASCII)

# https://pkg.go.dev/time#ParseDuration, read 2026-11-20: no days there.
GO_UNITS = {
    "ns": SECOND / 1e9,
    "us": SECOND / 1e6,
    "µs": SECOND / 1e6,
    "μs": SECOND / 1e6,
    "ms": SECOND / 1e3,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
GO_PART = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(ns|us|µs|μs|ms|s|m|h)", re.A)
GO = re.compile(f"(?:{GO_PART.pattern})+", re.ASCII)
NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)


def parse_duration(text: str, *, fractions: bool = False) -> int | None:
    """Return the milliseconds of "10s" or "1d10h30m", or None for others."""
    pattern = FRACTIONAL if fractions else WHOLE
    if not pattern.fullmatch(text):
        return None
    return int(sum(float(n) * UNITS[unit] for n, unit in PART.findall(text)))


def parse_wait(text: str, now: int) -> int | None:
    """Return the milliseconds from `now` of a `Retry-After` value, or None.

    Seconds, an RFC 1123 date, or a Go duration such as "6m5s"; a moment in
    the past is 0.
    """
    text = text.strip()
    if NUMBER.fullmatch(text):
        return int(float(text) * SECOND)
    if GO.fullmatch(text):
        parts = GO_PART.findall(text)
        return int(sum(float(n) * GO_UNITS[unit] for n, unit in parts))
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0, int(moment * SECOND) - now)
