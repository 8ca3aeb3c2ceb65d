"""Whether a secret could be guessed: one rule for every key and token."""

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
# Lower-case words: of 20 random letters and digits, one in a billion is so.
WORDS = re.compile(r"[^A-Z0-9]+")


def weakness(secret: str, length: int = KEY_LENGTH) -> str:
    """Why `secret` must not be trusted, as the end of a sentence; or ""."""
    rest = PREFIX.sub("", secret)
    if secret != secret.strip():
        return "begins or ends with white space"
    if len(secret) < length:
        return f"has {len(secret)} characters, {length} at least are needed"
    if len(set(rest)) < LEAST_VARIETY:
        return f"has only {len(set(rest))} different characters"
    if PLACEHOLDER.match(rest) or WORDS.fullmatch(rest):
        return "looks like words that somebody typed, not like a random text"
    return ""
