"""The Content Security Policy, as settings of Django 6.

Django 6 has a middleware for SECURE_CSP; the one here does the same for
Django 5.2: https://docs.djangoproject.com/en/6.1/howto/csp/
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping

import django
from django.conf import settings
from django.http import HttpRequest
from django.http import HttpResponse

Policy = Mapping[str, list[str]]
View = Callable[[HttpRequest], HttpResponse]

SELF = "'self'"
NONE = "'none'"
# Django 6 puts the nonce of a response in its place: utils.csp.CSP.NONCE.
NONCE = "<CSP_NONCE_SENTINEL>"

HAS_ITS_OWN = django.VERSION >= (6, 0)
MIDDLEWARE: str = (
    "django.middleware.csp.ContentSecurityPolicyMiddleware"
    if HAS_ITS_OWN
    else "core.csp.ContentSecurityPolicyMiddleware"
)
# The admin of Django 6.1 writes the nonce into its tags.
CONTEXT_PROCESSORS: list[str] = (
    ["django.template.context_processors.csp"] if HAS_ITS_OWN else []
)

HEADERS = {
    "Content-Security-Policy": "SECURE_CSP",
    "Content-Security-Policy-Report-Only": "SECURE_CSP_REPORT_ONLY",
}

# All that a page loads is our own, and nothing in it is inline.
STRICT: Policy = {
    "default-src": [SELF],
    "script-src": [SELF, NONCE],
    "style-src": [SELF, NONCE],
    "img-src": [SELF, "data:"],
    "object-src": [NONE],
    "base-uri": [NONE],
    "form-action": [SELF],
    "frame-ancestors": [NONE],
}


def policy(report_to: str = "") -> Policy:
    """Return the policy; browsers report violations to `report_to`."""
    return {**STRICT, "report-uri": [report_to]} if report_to else STRICT


class ContentSecurityPolicyMiddleware:
    """Sends SECURE_CSP and SECURE_CSP_REPORT_ONLY on Django 5.2."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # Django's own pages about errors, while DEBUG is on, are inline.
        if settings.DEBUG and response.status_code in (404, 500):
            return response
        for header, setting in HEADERS.items():
            if chosen := getattr(settings, setting):
                response.headers.setdefault(header, written(chosen))
        return response


def written(chosen: Policy) -> str:
    """Return a policy as a header, without a nonce."""
    return "; ".join(
        f"{name} {' '.join(value for value in values if value != NONCE)}"
        for name, values in chosen.items()
    )
