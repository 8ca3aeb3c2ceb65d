"""The webhook, to which the messages of runs are posted."""

from __future__ import annotations

import logging
import math

from django.http import HttpRequest
from django.http import HttpResponse
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from django_hookflow import engine
from django_hookflow import stopping
from django_hookflow.delivery import Delivery
from django_hookflow.endpoints import come_again
from django_hookflow.endpoints import refused
from django_hookflow.endpoints import signed_transport
from django_hookflow.endpoints import without_transaction
from django_hookflow.exceptions import InvalidDelivery
from django_hookflow.exceptions import LeaseLost
from django_hookflow.outcomes import Advance
from django_hookflow.outcomes import Busy
from django_hookflow.outcomes import Parked
from django_hookflow.outcomes import Stale

logger = logging.getLogger("django_hookflow.webhook")


@without_transaction
@csrf_exempt
@require_POST
def workflow_webhook(request: HttpRequest, workflow_id: str) -> HttpResponse:
    """Advance a run; answer with its status, and nothing of its data."""
    try:
        delivery = signed_transport().receive(request, workflow_id)
    except InvalidDelivery as error:
        return refused(logger, workflow_id, error)
    if stopping.is_stopping():
        return come_again("stopping", 1)
    try:
        return _answer(delivery, engine.advance(delivery))
    except LeaseLost as error:
        logger.warning(
            "%s lost its lease: %r", delivery.run_id, error.__cause__
        )
        return come_again("lease lost", 1)


def _answer(delivery: Delivery, advance: Advance) -> HttpResponse:
    match advance:
        case Stale():
            logger.info(
                "A message for %s is stale: repeated, replayed or late, since "
                "another has moved the run",
                delivery.run_id,
            )
            return _say("stale", run_id=delivery.run_id)
        case Parked():
            return _say("parked", run_id=delivery.run_id)
        case Busy(seconds):
            return come_again("busy", math.ceil(seconds) + 1, status=409)
        case verdict:
            return _say(verdict.status, run_id=delivery.run_id)


def _say(outcome: str, run_id: str) -> HttpResponse:
    return JsonResponse({"status": outcome, "run_id": run_id})
