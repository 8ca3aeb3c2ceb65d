"""Attributes of a run: what its function says of it, to find it by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django_hookflow.exceptions import SerializationError
from django_hookflow.serialization import dumps

MOST_BYTES = 4096


def encoded(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return attributes as their column holds them, in the journal's form.

    Raises SerializationError for what is no plain data, and for text that
    PostgreSQL's jsonb refuses.
    """
    found: dict[str, Any] = json.loads(dumps(dict(given), where))
    try:
        is_text = "\0" not in "".join(_texts(found))
    except UnicodeEncodeError:
        is_text = False
    if not is_text:
        raise SerializationError(
            where, "there is a NUL character or half a surrogate pair in it"
        )
    return found


def changed(
    before: Mapping[str, Any], given: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """Return attributes with others in their place; None removes one."""
    after = {**before, **encoded(given, where)}
    after = {name: value for name, value in after.items() if value is not None}
    size = len(json.dumps(after, ensure_ascii=False).encode())
    if size > MOST_BYTES:
        raise SerializationError(
            where, f"they take {size:,} bytes and {MOST_BYTES:,} are allowed"
        )
    return after


def _texts(value: Any) -> list[str]:
    """Return all texts in plain JSON; UnicodeEncodeError for half of one."""
    if isinstance(value, str):
        value.encode()
        return [value]
    items = [*value, *value.values()] if isinstance(value, dict) else value
    if not isinstance(items, list):
        return []
    return [text for item in items for text in _texts(item)]
