"""Middleware: an id for each request, and /metrics."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable

from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare

from django_hookflow.contrib.observability.conf import conf
from django_hookflow.contrib.observability.logs import request_id

GetResponse = Callable[[HttpRequest], HttpResponseBase]

HEADER = "X-Request-ID"
VALID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

METRICS = "/metrics"
WEBHOOK = "django_hookflow:workflow_webhook"


class RequestIdMiddleware:
    """Puts an id of each request into its answer and its log records.

    X-Request-ID is used where DJANGO_TRUST_REQUEST_ID says that a proxy sets
    it: a client could make two requests look like one.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        name = _given(request) or uuid.uuid4().hex
        token = request_id.set(name)
        try:
            response = self.get_response(request)
        finally:
            request_id.reset(token)
        response.headers[HEADER] = name
        return response


class MetricsMiddleware:
    """Answers /metrics before hosts and TLS are checked.

    Prometheus calls each process by its address in the private network.
    """

    def __init__(self, get_response: GetResponse) -> None:
        if not conf.DJANGO_METRICS_TOKEN:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info == METRICS:
            return _metrics(request)
        response = self.get_response(request)
        match = request.resolver_match
        if match is not None and match.view_name == WEBHOOK:
            _count(response)
        return response


def _given(request: HttpRequest) -> str:
    """Return the id from a trusted proxy; "" without one."""
    given: str = request.headers.get(HEADER, "")
    is_valid = conf.DJANGO_TRUST_REQUEST_ID and VALID.fullmatch(given)
    return given if is_valid else ""


def _metrics(request: HttpRequest) -> HttpResponse:
    # prometheus_client looks at its directory when it is imported.
    from django_hookflow.contrib.observability import exposition

    given = request.headers.get("Authorization", "")
    if not constant_time_compare(given, f"Bearer {conf.DJANGO_METRICS_TOKEN}"):
        return HttpResponse(
            "Send DJANGO_METRICS_TOKEN as bearer token.\n",
            status=401,
            content_type="text/plain",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    text, kind = exposition.write(request.headers.get("Accept", ""))
    return HttpResponse(text, content_type=kind)


def _count(response: HttpResponseBase) -> None:
    """Count an answer of the webhook by the status in its body."""
    from django_hookflow.contrib.observability import metrics

    try:
        answer = json.loads(getattr(response, "content", b""))["status"]
    except (ValueError, LookupError, TypeError):
        answer = str(response.status_code)
    metrics.ANSWERS.labels(answer).inc()
