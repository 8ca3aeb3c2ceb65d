"""Refuse texts in JSON that no column and no header can hold."""

from __future__ import annotations

from typing import Any

from .errors import BadRequestError


def check_text(text: str, what: str) -> None:
    """Refuse a NUL and half of a surrogate pair, which JSON can spell."""
    if "\0" in text:
        raise BadRequestError(f"{what}: a NUL is not allowed")
    check_unicode(text, what)


def check_unicode(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRequestError(f"{what}: {error}") from error


def check_texts(value: Any) -> None:
    """Check all texts in a JSON value, names of fields too."""
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, str):
            check_text(one, "the body")
        elif isinstance(one, list):
            rest += one
        elif isinstance(one, dict):
            rest += [*one.keys(), *one.values()]
