"""Whole numbers as they are spelled on the wire."""

from __future__ import annotations

import re

from .errors import BadRequestError


def parse_number(name: str, text: str, allowed: re.Pattern[str]) -> int | None:
    """The number that `text` spells, None for no text."""
    if not text:
        return None
    if not allowed.fullmatch(text):
        raise BadRequestError(f"{name}: {text!r} is not a number from 0 up")
    return int(text)
