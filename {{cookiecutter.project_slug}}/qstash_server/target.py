"""The raw request target, in which destinations are not escaped.

    /v2/publish/https://example.com/a//b?x=1&upstash-delay=3s

No framework may touch it before: decoding, merging of slashes or reordering
of the query would change the address that is called and signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult
from urllib.parse import quote
from urllib.parse import unquote_plus
from urllib.parse import urlsplit

from .errors import BadRequestError

NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}", re.ASCII)
SCHEME = re.compile(r"https?://", re.IGNORECASE | re.ASCII)
# Characters of a URL that stay as they are; others are percent-encoded.
AS_IS = "!\"#$%&'()*+,/:;<=>?@[\\]^_`{|}~-."


@dataclass(frozen=True)
class Target:
    """A request target, cut but not decoded."""

    path: str
    query: tuple[str, ...]  # the raw "name=value" pieces, in order
    has_query: bool  # "/a?" has one although it is empty

    def parameters(self) -> list[tuple[str, str]]:
        """The decoded query, in order."""
        pairs = (piece.partition("=") for piece in self.query if piece)
        return [(unquote_plus(n), unquote_plus(v)) for n, _, v in pairs]

    def settings(self) -> list[tuple[str, str]]:
        """The `upstash-*` parameters, which stand for headers."""
        return [
            (name, value)
            for name, value in self.parameters()
            if name.lower().startswith("upstash-")
        ]

    def destination(self, prefix: str) -> str:
        """Return the part after `prefix`, with its query.

        `qstash_token` and `upstash-*` are ours, not the destination's, and
        are left out (choice 3): forwarding a token would be a leak.
        """
        kept = [piece for piece in self.query if not _is_ours(piece)]
        removed = len(kept) < len(self.query)
        rest = self.path[len(prefix) :]
        if kept and self.has_query and (kept != [""] or not removed):
            return f"{rest}?{'&'.join(kept)}"
        return rest


def parse_target(raw: str) -> Target:
    """Split `raw` at its first question mark and its ampersands."""
    path, mark, query = raw.partition("?")
    pieces = tuple(query.split("&")) if mark else ()
    return Target(path, pieces, bool(mark))


def is_url(text: str) -> bool:
    return SCHEME.match(text) is not None


def is_name(text: str) -> bool:
    """True if it can name a queue, a URL group or a schedule."""
    return NAME.fullmatch(text) is not None


def check_name(text: object, what: str) -> str:
    """Return `text` if it is a name, or raise BadRequestError."""
    if not isinstance(text, str) or not is_name(text):
        raise BadRequestError(
            f"{what}: {text!r} may only hold letters, digits, - _ ."
        )
    return text


def check_url(text: str, what: str = "invalid destination url") -> str:
    """Return `text` as a URL that can be called, or raise BadRequestError.

    Blanks and letters outside ASCII are percent-encoded and a fragment is
    dropped, as both clients do when the URL stands in a request target; the
    rest stays as it was asked for, since that is what gets signed.
    """
    if not is_url(text):
        raise BadRequestError(
            f"{what}: endpoint has invalid scheme, add http:// or https://"
        )
    url = quote(text.strip().partition("#")[0], safe=AS_IS)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadRequestError(f"{what}: {error}") from error
    if not parts.hostname or port == 0:
        raise BadRequestError(f"{what}: {text!r} has no host to call")
    if "@" in parts.netloc:
        raise BadRequestError(
            f"{what}: a name and password in the address are not supported,"
            " forward an Authorization header"
        )
    return url


Address = tuple[str, str, int]  # scheme, host, port


def address_of(parts: SplitResult) -> Address:
    """Return the host and port of a URL, with its scheme's default port."""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, parts.hostname or "", port


def _is_ours(piece: str) -> bool:
    name = unquote_plus(piece.partition("=")[0]).lower()
    return name == "qstash_token" or name.startswith("upstash-")
