"""Protect the server from web pages in a browser on this machine.

Browsers send simple requests to any address without asking it first, and in
DEBUG the tokens are printed in Upstash's documents. So a request that says it
comes from another site is refused, and a public token counts only under a
name that no stranger can point at this machine.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from .accounts import is_public
from .errors import RefusedError
from .guard import is_address
from .listener import Request

# "none" is the address bar. Programs do not send the header at all.
OWN = ("", "none", "same-origin")


def check_site(request: Request) -> None:
    """Refuse what the page of another site has sent."""
    origin = request.header("origin")
    same = not origin or urlsplit(origin).netloc == request.header("host")
    if not same or request.header("sec-fetch-site") not in OWN:
        raise RefusedError("requests of other sites' pages are not accepted")


def check_host(request: Request, token: str, own_host: str) -> None:
    """Refuse a public token under a name of the internet.

    The owner of such a name can have it mean this machine once the browser
    has loaded a page from it, which makes that page one of ours.
    """
    host = urlsplit(f"//{request.header('host')}").hostname or ""
    known = host == own_host or is_address(host) or _is_local(host)
    if is_public(token) and not known:
        raise RefusedError(
            f"a public token is not accepted under the name {host}; use"
            " localhost, or a QSTASH_TOKEN of your own"
        )


def _is_local(host: str) -> bool:
    """A name without a dot ("qstash" in Compose) is not of the internet."""
    return "." not in host or host.endswith(".localhost")
