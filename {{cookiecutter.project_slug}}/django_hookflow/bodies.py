"""Unpack the bodies of HTTP answers within a limit, and read them."""

from __future__ import annotations

import codecs
import json
import re
import zlib
from collections.abc import Callable
from collections.abc import Iterable
from email.message import Message
from typing import Any

# Encodings that can be unpacked chunk by chunk, to stop at a limit.
ENCODINGS = "gzip, deflate"

JSON = re.compile(r"(application|text)/(.+\+)?json")
TEXT = re.compile(
    r"text/.+|.+/(.+\+)?xml|application/(javascript|ecmascript|yaml|toml"
    r"|x-www-form-urlencoded|x-ndjson|jsonl|graphql|sql|x-sh)"
)


class BodyError(Exception):
    """The body cannot be read; its text continues the words "its body"."""


def joined(chunks: Iterable[bytes], encoding: str, limit: int) -> bytes:
    """Unpack a whole body; BodyError as soon as it exceeds `limit` bytes."""
    unpack = _unpacker(encoding)
    body = bytearray()
    for chunk in chunks:
        body += unpack(chunk, limit + 1 - len(body))
        if len(body) > limit:
            raise BodyError(
                f"is larger than the {limit:,} bytes that "
                "DJANGO_HOOKFLOW_MAX_VALUE_BYTES allows"
            )
    return bytes(body)


def read(body: bytes, content_type: str) -> Any:
    """Return the value of JSON, text or bytes; None for an empty body.

    Without a Content-Type, a body that can be read as JSON or text is.
    """
    if not body:
        return None
    kind, charset = _parsed(content_type)
    is_json = JSON.fullmatch(kind) is not None
    if kind and not is_json and not TEXT.fullmatch(kind):
        return body
    usual = json.detect_encoding(body) if is_json else "utf-8"
    text = _text(body, charset or usual, usual)
    if text is None:
        return body
    return _json(text) if is_json or not kind else text


def _unpacker(encoding: str) -> Callable[[bytes, int], bytes]:
    """Return a function of a chunk and the most bytes it may return."""
    match encoding.strip().lower():
        case "" | "identity":
            return lambda chunk, most: chunk[:most]
        case "gzip" | "x-gzip":
            return _checked(zlib.decompressobj(zlib.MAX_WBITS | 16))
        case "deflate":
            return _deflate()
    raise BodyError(
        f"is in the encoding {encoding!r:.40}, which cannot be unpacked "
        f"within a limit. Ask for {ENCODINGS} by the header Accept-Encoding"
    )


def _checked(packed: Any) -> Callable[[bytes, int], bytes]:
    def unpack(chunk: bytes, most: int) -> bytes:
        try:
            unpacked: bytes = packed.decompress(chunk, most)
        except zlib.error as error:
            raise BodyError(
                f"is not in the encoding it names: {error}"
            ) from error
        return unpacked

    return unpack


def _deflate() -> Callable[[bytes, int], bytes]:
    """Accept deflate with zlib's header, as it should be, and without."""
    unpack: Callable[[bytes, int], bytes] | None = None

    def first(chunk: bytes, most: int) -> bytes:
        nonlocal unpack
        if unpack is not None:
            return unpack(chunk, most)
        unpack = _checked(zlib.decompressobj())
        try:
            return unpack(chunk, most)
        except BodyError:
            unpack = _checked(zlib.decompressobj(-zlib.MAX_WBITS))
            return unpack(chunk, most)

    return first


def _parsed(content_type: str) -> tuple[str, str]:
    """Return the type, such as text/plain, and the charset, or ""."""
    message = Message()
    message["Content-Type"] = content_type.replace("\n", " ")
    kind = message.get_content_type() if "/" in content_type else ""
    return kind, str(message.get_content_charset() or "")


def _text(body: bytes, *charsets: str) -> str | None:
    """Decode the body by the first charset that works; None if none does."""
    for name in charsets:
        try:
            codec = codecs.lookup(name)
            # Some of Python's codecs unpack, or swap characters.
            if codec._is_text_encoding:
                plain = "utf-8-sig" if codec.name == "utf-8" else name
                return body.decode(plain)
        except (LookupError, ValueError):
            continue
    return None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    # Not JSON, or nested a thousand levels deep.
    except (ValueError, RecursionError):
        return text
