"""Where one message on a connection ends and the next one begins."""

from __future__ import annotations

import h11


def is_framed_twice(head: h11.Request | h11.Response) -> bool:
    """Whether its end is told in two ways (RFC 9112, 6.1).

    A proxy between us may have believed the other one: what follows on the
    connection could be a message that it took for a part of this one.
    """
    names = {name for name, _ in head.headers}
    return {b"content-length", b"transfer-encoding"} <= names
