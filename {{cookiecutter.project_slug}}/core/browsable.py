"""The API's pages for people, under a policy they can work with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from rest_framework.renderers import BrowsableAPIRenderer

from core.csp import HEADERS
from core.csp import written

# Its templates place a few elements by style attributes (3.18.3), which can
# run nothing; scripts and style sheets stay our own.
ATTRIBUTES = {"style-src-attr": ["'unsafe-inline'"]}


class BrowsableRenderer(BrowsableAPIRenderer):
    """Sends the site's policy, with style attributes allowed."""

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
