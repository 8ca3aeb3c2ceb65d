"""Judge whether a secret can be guessed: one rule for all keys and tokens."""

from __future__ import annotations

import re

# QStash's signing keys have 32 characters, "sig_" and 28 random ones.
KEY_LENGTH = 32
# Distinct characters; a random text of 20 has fewer once in a million.
LEAST_VARIETY = 8
PREFIX = re.compile(r"\A(?:sig|sk|whsec)_")
# "django-insecure-" is how startproject marks its own key.
PLACEHOLDER = re.compile(
    r"\A(?:your|change|replace|example|insecure|django-insecure|secret|<)",
    re.IGNORECASE,
)
# Lower-case words: one in a billion texts of 20 random characters is so.
WORDS = re.compile(r"[^A-Z0-9]+")


def weakness(secret: str, length: int = KEY_LENGTH) -> str:
    """Return why `secret` is weak, to end a sentence with; or ""."""
    rest = PREFIX.sub("", secret)
    if secret != secret.strip():
        return "begins or ends with white space"
    if len(secret) < length:
        return f"has {len(secret)} characters, and needs at least {length}"
    if len(set(rest)) < LEAST_VARIETY:
        return f"has only {len(set(rest))} different characters"
    if PLACEHOLDER.match(rest) or WORDS.fullmatch(rest):
        return "looks like typed words, not like random text"
    return ""
