"""Which text may name a run, a step, an event or its match."""

from __future__ import annotations

import re

NAME_LENGTH = 255  # characters

# Control characters, line breaks and lone surrogates: they break log lines,
# and no database keeps all of them. Everything people have in their names is
# good, such as the joiners of Persian and of emoji.
UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_name(text: str) -> bool:
    """Whether `text` can be a name."""
    return 0 < len(text) <= NAME_LENGTH and UNFIT.search(text) is None


def checked_name(what: str, value: str) -> str:
    """`value` if it can be a name, else ValueError says `what` it was for."""
    if not isinstance(value, str) or not value or UNFIT.search(value):
        raise ValueError(
            f"{what} is {value!r}. Use text without control characters."
        )
    if len(value) > NAME_LENGTH:
        raise ValueError(
            f"{what} has {len(value)} characters. Use at most {NAME_LENGTH}."
        )
    return value
