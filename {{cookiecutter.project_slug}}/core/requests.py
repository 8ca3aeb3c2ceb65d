"""Requests that no view can read, answered before one tries.

Django parses the Content-Type while it makes a request, outside of what
turns errors into answers: a charset such as "bz2" ended in a traceback and a
500 for anyone who sent it. PostgreSQL refuses a NUL in every text, so one in
an address or a cookie did the same in each view that looks a row up by it.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.http import HttpResponse
from django.http import HttpResponseBadRequest
from django.utils.http import parse_header_parameters

# Forms and JSON are UTF-8; these are what old clients still declare.
READABLE = frozenset({"utf-8", "ascii", "iso8859-1", "cp1252"})
# Django and the REST framework parse the parameters of both.
WITH_PARAMETERS = ("CONTENT_TYPE", "HTTP_ACCEPT")


class TolerantHeaders(HttpRequest):
    """Reads a header that cannot be parsed as one that is not there."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        for name in WITH_PARAMETERS:
            if not is_readable(meta.get(name, "")):
                meta[name] = ""
        super()._set_content_type_params(meta)  # type: ignore[misc]


class SiteRequest(TolerantHeaders, WSGIRequest):
    """A request of the site by WSGI."""


class AsyncSiteRequest(TolerantHeaders, ASGIRequest):
    """A request of the site by ASGI."""


def is_readable(header: str) -> bool:
    """Return True if its parameters and charset can be decoded."""
    try:
        for one in header.split(","):
            charset = parse_header_parameters(one)[1].get("charset")
            if charset and codecs.lookup(charset).name not in READABLE:
                return False
    except (LookupError, ValueError, SuspiciousOperation):
        return False
    return True


class RefuseNulMiddleware:
    """Answers 400 to a NUL in the path, the query or a cookie."""

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponse]
    ) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        texts = [request.path, *request.COOKIES.values()]
        query = request.META.get("QUERY_STRING", "")
        if "%00" in query or any("\0" in text for text in [query, *texts]):
            return HttpResponseBadRequest(
                "The address or a cookie holds a NUL character.",
                content_type="text/plain",
            )
        return self.get_response(request)
