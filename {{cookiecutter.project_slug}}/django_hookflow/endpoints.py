"""Helpers of the views that a transport posts to."""

from __future__ import annotations

from collections.abc import Callable
from logging import Logger

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.http import JsonResponse

from django_hookflow.exceptions import NON_RETRYABLE
from django_hookflow.exceptions import InvalidDelivery
from django_hookflow.transports import get_transport
from django_hookflow.transports.signed import SignedTransport

View = Callable[..., HttpResponse]

# Tells QStash not to try again; it wants both this and the status:
# https://upstash.com/docs/qstash/features/retry (2026-08)
NON_RETRYABLE_HEADER = {"Upstash-NonRetryable-Error": "true"}


def without_transaction(view: View) -> View:
    """Let each statement of the engine commit by itself.

    A journal that is rolled back with its request would be lost.
    """
    for alias in settings.DATABASES:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


def signed_transport() -> SignedTransport:
    """Return the site's transport, if its messages come by HTTP.

    Raises InvalidDelivery for others: no genuine message is posted to them.
    """
    transport = get_transport()
    if isinstance(transport, SignedTransport):
        return transport
    raise InvalidDelivery(
        f"{type(transport).__name__} does not receive messages by HTTP",
        kind="unsigned",
    )


def come_again(why: str, seconds: int, status: int = 503) -> HttpResponse:
    """Ask for the same message later.

    This is expected, so Django must not log it as an error of the site.
    """
    response = JsonResponse(
        {"status": why}, status=status, headers={"Retry-After": str(seconds)}
    )
    # The mark that Django leaves, and looks for, in its log_response.
    vars(response)["_has_been_logged"] = True
    return response


def refused(
    logger: Logger, address: str, error: InvalidDelivery
) -> HttpResponse:
    """Log and answer a message that is not genuine, or malformed.

    `address`: the workflow or the task it was posted to, for the log.
    """
    logger.warning(
        "A message for %s is refused: %s (%s)", address, error, error.kind
    )
    is_final = error.status == NON_RETRYABLE
    return JsonResponse(
        {"status": "refused"},
        status=error.status,
        headers=NON_RETRYABLE_HEADER if is_final else None,
    )
