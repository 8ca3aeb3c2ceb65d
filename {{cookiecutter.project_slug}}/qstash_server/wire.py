"""Headers and bodies as JSON: shapes that several views share."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable

HeaderMap = dict[str, list[str]]


def header_map(pairs: Iterable[tuple[str, str]]) -> HeaderMap:
    """Return {"Content-Type": ["text/plain"]}: Go's spelling, all values."""
    headers: HeaderMap = {}
    for name, value in pairs:
        headers.setdefault(canonical(name), []).append(as_text(value))
    return headers


def canonical(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def as_text(value: str) -> str:
    """Return a header value to show; inside, its bytes are latin-1 text."""
    try:
        return value.encode("latin-1").decode()
    except (UnicodeDecodeError, UnicodeEncodeError):
        return value


def as_latin(value: str) -> str:
    """Return the latin-1 form of a header value that came as JSON text."""
    return value.encode().decode("latin-1")


def body_fields(body: bytes, name: str = "body") -> dict[str, str]:
    """Return {"body": text}, {"bodyBase64": …} or {} for an empty body."""
    if not body:
        return {}
    try:
        return {name: body.decode()}
    except UnicodeDecodeError:
        return {f"{name}Base64": b64encode(body).decode()}
