"""The webhook that the payment provider notifies when a charge ends."""

from __future__ import annotations

import logging
import uuid

from django.db import transaction
from django.http import HttpRequest
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from django_hookflow import send_event
from django_hookflow.exceptions import EventConflict

from . import payments
from .models import Order
from .models import Payment

logger = logging.getLogger(__name__)

OPEN = (Order.Status.PLACED, Order.Status.RESERVED)
FINAL = ("succeeded", "declined", "cancelled")


@csrf_exempt
@require_POST
def payment_webhook(request: HttpRequest) -> JsonResponse:
    """Hand a verified notification to the run that waits for it."""
    signature = request.headers.get(payments.SIGNATURE_HEADER, "")
    try:
        payments.verify(signature, request.body)
        notification = payments.read(request.body)
    except payments.BadSignature as error:
        return JsonResponse({"error": str(error)}, status=401)
    except payments.BadNotification as error:
        return JsonResponse({"error": str(error)}, status=400)
    try:
        return JsonResponse({"status": deliver(notification)})
    except EventConflict as error:
        # Not 4xx or 5xx, which the provider would send again for days.
        logger.error("A notification was not used: %s", error)
        return JsonResponse({"status": "ignored"})


@transaction.atomic
def deliver(notification: payments.Notification) -> str:
    """Send the event; "ignored" when no order of ours can use it."""
    order = find(notification.order_id)
    if order is None or notification.outcome not in FINAL:
        return "ignored"
    if order.status not in OPEN:
        return report_late(order, notification)
    if is_of_another_charge(order, notification):
        return "ignored"
    send_event(
        payments.SETTLED,
        {
            "charge_id": notification.charge_id,
            "status": notification.outcome,
            "amount": str(notification.amount),
            "currency": notification.currency,
        },
        match=str(order.pk),
        event_id=notification.event_id,
    )
    return "accepted"


def find(order_id: str) -> Order | None:
    """Return the order; None if it is of another site of the account."""
    try:
        return Order.objects.filter(pk=uuid.UUID(order_id)).first()
    except ValueError:
        return None


def is_of_another_charge(
    order: Order, notification: payments.Notification
) -> bool:
    """Return True and log it if the recorded charge is another one."""
    ours = Payment.objects.get(order=order).provider_id
    if ours in ("", notification.charge_id):
        return False
    logger.error(
        "Order %s has charge %s, but charge %s says it is %s for it. Look "
        "into it with the provider.",
        order.pk,
        ours,
        notification.charge_id,
        notification.outcome,
    )
    return True


def report_late(order: Order, notification: payments.Notification) -> str:
    """Log money for a closed order; ignore repeated notifications."""
    settled = (
        Order.Status.PAID,
        Order.Status.FULFILLED,
        Order.Status.RETURNING,
        Order.Status.REFUNDED,
    )
    if notification.outcome == "succeeded" and order.status not in settled:
        logger.error(
            "Order %s is %s, but charge %s of %s was paid. Refund it.",
            order.pk,
            order.status,
            notification.charge_id,
            notification.amount,
        )
    return "ignored"
