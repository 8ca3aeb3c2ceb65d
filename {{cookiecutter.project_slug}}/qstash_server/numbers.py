"""Parse whole numbers as the API spells them."""

from __future__ import annotations

import re

from .errors import BadRequestError


def parse_number(name: str, text: str, allowed: re.Pattern[str]) -> int | None:
    """Return the number in `text`, None for None."""
    if not text:
        return None
    if not allowed.fullmatch(text):
        raise BadRequestError(f"{name}: {text!r} is not a number from 0 up")
    return int(text)
