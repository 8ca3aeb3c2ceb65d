"""Renderers of the API: JSON, and pages for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.renderers import JSONRenderer

from core.csp import HEADERS
from core.csp import written

# Its templates place a few elements by style attributes (3.18.3), which can
# run nothing; scripts and style sheets stay our own.
ATTRIBUTES = {"style-src-attr": ["'unsafe-inline'"]}


class EscapingJSONRenderer(JSONRenderer):
    ensure_ascii = True


class SafeJSONRenderer(JSONRenderer):
    """Writes text as it is, and escapes all of it where UTF-8 has no bytes.

    A step may return the name of a file that is not UTF-8. Its lone surrogate
    fits into no answer, but JSON has an escape for it.
    """

    def render(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().render(data, *args, **kwargs)
        except UnicodeEncodeError:
            return EscapingJSONRenderer().render(data, *args, **kwargs)


class BrowsableRenderer(BrowsableAPIRenderer):
    """Sends a policy such a page can work with: style attributes allowed."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> Any:
        page = super().render(data, accepted_media_type, renderer_context)
        response = (renderer_context or {})["response"]
        for header, setting in HEADERS.items():
            if policy := getattr(settings, setting):
                response.headers[header] = written(policy | ATTRIBUTES)
        return page

    def get_context(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        # Colours for code in docstrings, inline, where pygments is installed.
        context: dict[str, Any] = super().get_context(*args, **kwargs)
        return context | {"code_style": ""}
