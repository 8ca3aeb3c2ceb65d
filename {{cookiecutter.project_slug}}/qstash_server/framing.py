"""Find the end of a message on a connection."""

from __future__ import annotations

import h11


def is_framed_twice(head: h11.Request | h11.Response) -> bool:
    """True if two headers give its length (RFC 9112, 6.1).

    A proxy may have used the other header: the next message on the connection
    could be one that it took for a part of this one.
    """
    names = {name for name, _ in head.headers}
    return {b"content-length", b"transfer-encoding"} <= names
