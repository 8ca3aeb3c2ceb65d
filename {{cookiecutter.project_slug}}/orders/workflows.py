"""The life of an order, from the click to the parcel."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.conf import settings

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import PermanentError

from . import payments
from . import recipes as recipes  # more workflows, to copy from
from . import services
from .models import Order

Status = Order.Status
Charge = dict[str, Any]  # what the provider says: {"status", "amount", ...}
Answer = dict[str, Any]  # of a call: {"status_code", "data"}

# An unavailable provider is asked again after 1, 3, 9, ... seconds, for half
# an hour. Then the run fails, and its dead letter can be replayed: the
# idempotency key stays, so the card is charged once at most.
PROVIDER_IS_AWAY = RetryPolicy(retries=9, delay=1, factor=3, maximum=600)

# How an order ends whose charge ended like this.
UNPAID = {
    "declined": (Status.DECLINED, "The card was declined."),
    "cancelled": (Status.EXPIRED, "The payment did not arrive in time."),
    "refused": (
        Status.CANCELLED,
        "The payment provider did not accept the charge.",
    ),
}

ENDED = {"succeeded", *UNPAID}
CANCELLED = (HTTPStatus.OK, HTTPStatus.CONFLICT)


# The id says whose it is, so that yours may be called after the function.
@workflow(workflow_id="sample-process-order")
def process_order(ctx: WorkflowContext) -> dict[str, str]:
    """Sell `ctx.data["order_id"]`: {"order_id", "status"} at the end."""
    order_id = ctx.data["order_id"]
    rows = ctx.step.options(atomic=True)

    request = ctx.step.run("validate", services.validate_order, order_id)
    if not rows.run("reserve-stock", services.reserve_stock, order_id):
        return ended(order_id, Status.CANCELLED)

    charge = pay(ctx, order_id, request)
    if charge["status"] != "succeeded":
        status, why = UNPAID[charge["status"]]
        rows.run(
            "release-stock", services.release_stock, order_id, status, why
        )
        return ended(order_id, status)

    paid = charge["amount"]
    rows.run("record-payment", services.record_payment, order_id, paid)
    rows.run("fulfil", services.fulfil, order_id)
    ctx.step.options(optional=True).run(
        "confirmation-mail", services.send_confirmation, order_id
    )
    return ended(order_id, Status.FULFILLED)


def pay(ctx: WorkflowContext, order_id: str, request: Charge) -> Charge:
    """Return the charge in its last state, "succeeded" or one of UNPAID."""
    answer = ctx.step.options(retry=PROVIDER_IS_AWAY).call(
        "charge-card",
        payments.charges_url(),
        method="POST",
        body=request,
        headers=payments.headers(),
    )
    if answer["status_code"] >= 400:
        declined = answer["status_code"] == HTTPStatus.PAYMENT_REQUIRED
        return {"status": "declined" if declined else "refused"}
    charge_id = id_in(answer)
    if not charge_id:
        raise PermanentError(
            f"The charge of order {order_id} may have been made or not: the "
            f"provider answered {said(answer)}. Settle it with the provider, "
            "then close the order by hand."
        )
    ctx.step.options(atomic=True).run(
        "record-charge", services.record_charge, order_id, charge_id
    )
    charge = settlement(ctx, order_id) or take_back(ctx, charge_id)
    refuse_another(charge, charge_id, request)
    return charge


def refuse_another(charge: Charge, charge_id: str, request: Charge) -> None:
    """Raise if another charge than the requested one was settled."""
    found = charge.get("charge_id", charge.get("id", charge_id))
    currency = charge.get("currency", request["currency"])
    if (found, currency) != (charge_id, request["currency"]):
        raise PermanentError(
            f"Order {request['reference']} asked for charge {charge_id} in "
            f"{request['currency']}, but charge {found} in {currency} is "
            f"{charge['status']}. Settle it with the provider, then close "
            "the order by hand."
        )


def settlement(ctx: WorkflowContext, order_id: str) -> Charge | None:
    """Return the settled charge; None if there is none after a reminder."""
    charge = notification(ctx, "payment", order_id)
    if charge is None:
        ctx.step.options(optional=True).run(
            "payment-reminder", services.send_reminder, order_id
        )
        charge = notification(ctx, "late-payment", order_id)
    return charge


def notification(
    ctx: WorkflowContext, step_id: str, order_id: str
) -> Charge | None:
    """Return the charge the webhook received, or None after the timeout."""
    try:
        charge: Charge = ctx.step.wait_for_event(
            step_id,
            payments.SETTLED,
            match=order_id,
            timeout=settings.ORDERS_PAYMENT_TIMEOUT,
        )
    except EventTimeout:
        return None
    return charge


def take_back(ctx: WorkflowContext, charge_id: str) -> Charge:
    """Cancel the charge, so that a closed order is not paid.

    The provider decides a race with the payment: it answers with the charge,
    which is cancelled now or was settled a moment ago.
    """
    answer = ctx.step.options(retry=PROVIDER_IS_AWAY).call(
        "cancel-charge",
        payments.cancel_url(charge_id),
        method="POST",
        headers=payments.headers(),
    )
    if answer["status_code"] not in CANCELLED or not has_ended(answer):
        raise PermanentError(
            f"Charge {charge_id} could not be cancelled: the provider "
            f"answered {said(answer)}. Settle it with the provider, "
            "then close the order by hand."
        )
    charge: Charge = answer["data"]
    return charge


def id_in(answer: Answer) -> str:
    """Return the id of the charge that an answer accepts, or ""."""
    charge = answer["data"]
    if answer["status_code"] >= 300 or not isinstance(charge, dict):
        return ""
    return str(charge.get("id", ""))


def has_ended(answer: Answer) -> bool:
    """Return True if it holds a charge in a final state."""
    charge = answer["data"]
    return isinstance(charge, dict) and charge.get("status") in ENDED


def said(answer: Answer) -> str:
    """Return an answer as text for an error message."""
    return f"{answer['status_code']} with {str(answer['data'])[:200]!r}"


def ended(order_id: str, status: Status) -> dict[str, str]:
    return {"order_id": order_id, "status": status.value}
