"""The webhook: bytes in, a verdict out."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.http import HttpResponse
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from django_hookflow import engine
from django_hookflow import stopping
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import NON_RETRYABLE
from django_hookflow.exceptions import InvalidDelivery
from django_hookflow.exceptions import LeaseLost
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.persistence.runs import Busy
from django_hookflow.persistence.runs import Stale
from django_hookflow.transports import get_transport

logger = logging.getLogger("django_hookflow.webhook")

View = Callable[..., HttpResponse]

# Tells QStash not to try again; it wants both:
# https://upstash.com/docs/qstash/features/retry (2026-08)
NEVER_AGAIN = {"Upstash-NonRetryable-Error": "true"}

# Seconds until an old process has been replaced by one that knows more.
AFTER_A_DEPLOY = 60


def without_transaction(view: View) -> View:
    """Let each statement of the engine commit by itself.

    A journal that was rolled back with the request would be none.
    """
    for alias in settings.DATABASES:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


@without_transaction
@csrf_exempt
@require_POST
def workflow_webhook(request: HttpRequest, workflow_id: str) -> HttpResponse:
    """Advance a run. Says how it went, and nothing of what it holds."""
    try:
        delivery = get_transport().receive(request, workflow_id)
    except InvalidDelivery as error:
        return _refuse(workflow_id, error)
    if stopping.is_stopping():
        return come_again("stopping", 1)
    try:
        return _answer(delivery, engine.advance(delivery))
    except WorkflowNotFound as error:
        level = logging.ERROR if error.is_news else logging.WARNING
        logger.log(level, "%s", error)
        return come_again("workflow not found", AFTER_A_DEPLOY)
    except LeaseLost as error:
        logger.warning(
            "%s lost its lease: %r", delivery.run_id, error.__cause__
        )
        return come_again("lease lost", 1)


def _answer(delivery: Delivery, advance: engine.Advance) -> HttpResponse:
    match advance:
        case Stale():
            logger.info(
                "A message for %s is stale: repeated, replayed or late, since "
                "another has moved the run",
                delivery.run_id,
            )
            return _say("stale", run_id=delivery.run_id)
        case Busy(seconds):
            return come_again("busy", math.ceil(seconds) + 1, status=409)
        case verdict:
            return _say(verdict.status, run_id=delivery.run_id)


def _refuse(workflow_id: str, error: InvalidDelivery) -> HttpResponse:
    logger.warning(
        "A message for %s is refused: %s (%s)", workflow_id, error, error.kind
    )
    headers = NEVER_AGAIN if error.status == NON_RETRYABLE else None
    return _say("refused", status=error.status, headers=headers)


def come_again(why: str, seconds: int, status: int = 503) -> HttpResponse:
    """Expected, and logged by us if at all: no error of the site."""
    response = _say(why, status=status, headers={"Retry-After": str(seconds)})
    # The mark that Django leaves, and looks for, in its log_response.
    vars(response)["_has_been_logged"] = True
    return response


def _say(
    outcome: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **facts: Any,
) -> HttpResponse:
    return JsonResponse(
        {"status": outcome, **facts}, status=status, headers=headers
    )
