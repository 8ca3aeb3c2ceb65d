"""Throttle clients that send too many requests: 429 with Retry-After.

These are counted, by the address of the client unless it says otherwise:

webhook   messages that were refused: unsigned, forged, expired, oversized;
          signed ones are let through, however many there are
login     attempts to log in to the admin
creations, resumes
          what users send to the API over runs, by user: core.api_throttles

An app adds scopes of its own by `throttles` of its AppConfig, and webhooks by
`throttled_webhooks`. A scope has a rate in settings.THROTTLES, which reads
the variable DJANGO_THROTTLE_<SCOPE>.

The counts are in the database, one statement each, since it is what all
processes of the site share; a cache would be one more service to run, and
Django's cache in a table cannot count without losing some.
"""

from __future__ import annotations

import ipaddress
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import Error
from django.db import connection
from django.db import transaction
from django.http import HttpRequest
from django.http import HttpResponse
from django.http import JsonResponse
from django.utils.crypto import salted_hmac

from config.environment import RATE
from config.environment import SECONDS
from core.models import RequestCount
from django_hookflow import clock

logger = logging.getLogger("core.throttling")

View = Callable[[HttpRequest], HttpResponse]

# Counted when a webhook answers with one of these.
REFUSED = (401, 413)

COUNT = """
INSERT INTO core_requestcount (key, count, ends_at) VALUES (%s, 1, %s)
ON CONFLICT (key) DO UPDATE SET count = core_requestcount.count + 1
RETURNING count
"""


class ThrottlingMiddleware:
    """Runs before the costs of a request."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        name = view_name(request)
        if response.status_code in REFUSED and name.startswith(webhooks()):
            return throttled(request, "webhook") or response
        return response

    def process_view(
        self, request: HttpRequest, *_: Any
    ) -> HttpResponse | None:
        # Where it answers HEAD, a view does for it what it does for GET.
        method = "GET" if request.method == "HEAD" else str(request.method)
        scope = scopes().get((method, view_name(request)))
        return throttled(request, scope) if scope else None


@cache
def scopes() -> dict[tuple[str, str], str]:
    """Return the scopes counted before a view, by method and view name."""
    found = {("POST", "admin:login"): "login"}
    for app in apps.get_app_configs():
        found |= getattr(app, "throttles", {})
    return found


@cache
def webhooks() -> tuple[str, ...]:
    """Return the names of views, or their beginnings, that are webhooks."""
    found = ["django_hookflow:"]
    for app in apps.get_app_configs():
        found += getattr(app, "throttled_webhooks", ())
    return tuple(found)


def view_name(request: HttpRequest) -> str:
    return request.resolver_match.view_name if request.resolver_match else ""


def throttled(request: HttpRequest, scope: str) -> HttpResponse | None:
    """Return the response to one request too many, else None."""
    rate = rate_of(settings.THROTTLES.get(scope, "off"))
    client = client_address(request)
    seconds = rate and seconds_to_wait(scope, client, rate)
    if not seconds:
        return None
    logger.warning(
        # With the header, which shows whether the proxies are counted right.
        "%s %s of %s is throttled: more than %s in %s (X-Forwarded-For: %s)",
        request.method,
        request.path,
        client,
        settings.THROTTLES[scope],
        scope,
        request.headers.get("X-Forwarded-For", "")[:200],
    )
    return too_many(request, seconds)


def too_many(request: HttpRequest, seconds: int) -> HttpResponse:
    """Return a sentence for people, JSON for programs."""
    sentence = (
        "Too many requests came from your address. Try again in "
        f"{seconds} seconds."
    )
    response: HttpResponse
    if "text/html" in request.headers.get("Accept", ""):
        response = HttpResponse(sentence, content_type="text/plain")
    else:
        response = JsonResponse({"detail": sentence})
    response.status_code = 429
    response.headers["Retry-After"] = str(seconds)
    return response


@dataclass(frozen=True)
class Rate:
    count: int
    seconds: int


@lru_cache
def rate_of(text: str) -> Rate | None:
    """Parse a rate such as "20/minute"; None for "off"."""
    found = RATE.fullmatch(text)
    if found is None:
        raise ValueError(
            f'Invalid rate {text!r}: expected, e.g., "20/minute" or "off".'
        )
    count, unit = found.groups()
    return Rate(int(count), SECONDS[unit]) if count else None


# Who is over a rate, and until when, as far as this process has seen: a
# flood costs no more statements than are allowed.
_over: dict[str, int] = {}
MOST_REMEMBERED = 10_000


def seconds_to_wait(scope: str, client: str, rate: Rate) -> int:
    """Count a request; return 0 to let it pass, else seconds to wait."""
    now = clock.now().timestamp()
    ends_at = (int(now) // rate.seconds + 1) * rate.seconds
    key = key_of(scope, client, ends_at)
    if key not in _over and counted(key, ends_at) <= rate.count:
        return 0
    if len(_over) >= MOST_REMEMBERED:
        _over.clear()
    _over[key] = ends_at
    return math.ceil(ends_at - now)


def key_of(*facts: object) -> str:
    text = "\n".join(str(fact) for fact in facts)
    return salted_hmac(__name__, text, algorithm="sha256").hexdigest()


def counted(key: str, ends_at: int) -> int:
    """Return the count with this one; 0 if the database fails."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(COUNT, [key, ends_at])
            (count,) = cursor.fetchone()
        if count == 1:
            forget()
    except Error as error:
        logger.warning("Requests are not counted: %s", error)
        return 0
    return int(count)


def forget(most: int = 100) -> None:
    """Delete some expired counts, when a new one is created."""
    over = RequestCount.objects.filter(ends_at__lte=clock.now().timestamp())
    with transaction.atomic():
        # Skipped when another deletes it: two would wait for each other.
        locked = over.select_for_update(skip_locked=True)
        keys = list(locked.values_list("key", flat=True)[:most])
        RequestCount.objects.filter(key__in=keys).delete()


def client_address(request: HttpRequest) -> str:
    """Return the client address that the outermost trusted proxy saw.

    Each proxy appends its client to X-Forwarded-For; entries
    further left may be invented.
    """
    trusted = settings.DJANGO_TRUSTED_PROXIES
    chain = request.headers.get("X-Forwarded-For", "").split(",")
    if trusted and len(chain) >= trusted and chain[-trusted].strip():
        return network_of(without_port(chain[-trusted].strip()))
    return network_of(request.META.get("REMOTE_ADDR", ""))


def without_port(text: str) -> str:
    """Return the address of 192.0.2.1:4711 or [2001:db8::1]:4711."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def network_of(text: str) -> str:
    """Return an IPv4 address, or the /64 of IPv6, which one client owns."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text[:64]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
