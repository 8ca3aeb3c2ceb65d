"""Rules for the names of runs, steps, events and matches."""

from __future__ import annotations

import re

NAME_LENGTH = 255  # characters

# Control characters, line breaks and lone surrogates break log lines, and no
# database stores all of them. Everything in people's names is allowed, such
# as the joiners of Persian and of emoji.
NOT_ALLOWED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_name(text: str) -> bool:
    """True when `text` can be a name."""
    return 0 < len(text) <= NAME_LENGTH and NOT_ALLOWED.search(text) is None


def checked_name(what: str, value: str) -> str:
    """Return `value` if it can be a name; ValueError names it as `what`."""
    if not isinstance(value, str) or not value or NOT_ALLOWED.search(value):
        raise ValueError(
            f"Invalid {what} {value!r}, expected text without control "
            "characters."
        )
    if len(value) > NAME_LENGTH:
        raise ValueError(
            f"Invalid {what} of {len(value)} characters, expected at most "
            f"{NAME_LENGTH}."
        )
    return value
