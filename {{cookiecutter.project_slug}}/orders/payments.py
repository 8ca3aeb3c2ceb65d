"""The requests to the payment provider, and its notifications.

Everything the shop knows about the provider is here and in `cards.py`. To
use another one, change the functions below to what it speaks.
"""

from __future__ import annotations

import hmac
import json
import time
from dataclasses import dataclass
from decimal import Decimal
from decimal import DecimalException
from typing import Any

from django.conf import settings

from django_hookflow.addresses import public_url

from .models import Payment

SETTLED = "payment.settled"
"""The event a run waits for, matched by the id of its order."""

SIGNATURE_HEADER = "X-Payments-Signature"
MAX_AGE = 300
"""Seconds a signature is good for; an old one may be a replay."""
MAX_TEXT = 200
"""Maximum length of an id; ours and any provider's are shorter."""


class BadSignature(Exception):
    """The notification was not sent by the provider, or long ago."""


class BadNotification(Exception):
    """The provider's notification does not say what we need to know."""


@dataclass(frozen=True)
class Notification:
    """The provider's report on a charge; `outcome` is its last state."""

    event_id: str
    order_id: str
    charge_id: str
    outcome: str
    amount: Decimal
    currency: str


def charges_url() -> str:
    return f"{settings.PAYMENTS_URL.rstrip('/')}/charges/"


def cancel_url(charge_id: str) -> str:
    return f"{charges_url()}{charge_id}/cancel/"


def refund_url(charge_id: str) -> str:
    return f"{charges_url()}{charge_id}/refund/"


def headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {settings.PAYMENTS_API_KEY}"}


def charge_request(payment: Payment) -> dict[str, str]:
    """Return the JSON body of a request to charge the card."""
    return {
        "amount": str(payment.amount),
        "currency": settings.ORDERS_CURRENCY,
        "reference": str(payment.order_id),
        "card_token": payment.card_token,
        "webhook_url": public_url("orders:payment-webhook"),
    }


def verify(signature: str, body: bytes) -> None:
    """Accept a fresh `t=<seconds>,v1=<hex>` over `<seconds>.<body>`."""
    if not settings.PAYMENTS_WEBHOOK_SECRET:
        raise BadSignature("PAYMENTS_WEBHOOK_SECRET is empty; set it.")
    stamp, _, given = signature.removeprefix("t=").partition(",v1=")
    # Both are compared as bytes, since a header may hold any character.
    expected = sign(settings.PAYMENTS_WEBHOOK_SECRET, stamp.encode(), body)
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise BadSignature("The signature is not the provider's.")
    if abs(time.time() - int(stamp)) > MAX_AGE:
        raise BadSignature(f"The signature is older than {MAX_AGE} s.")


def sign(secret: str, stamp: bytes, body: bytes) -> str:
    return hmac.new(secret.encode(), stamp + b"." + body, "sha256").hexdigest()


def read(body: bytes) -> Notification:
    """Return the notification in a verified body."""
    try:
        event: dict[str, Any] = json.loads(body)
        charge = event["charge"]
        return Notification(
            event_id=identifier(event["id"]),
            order_id=text(charge["reference"]),
            charge_id=identifier(charge["id"]),
            outcome=text(charge["status"]),
            amount=money(charge["amount"]),
            currency=text(charge["currency"]),
        )
    except (
        ValueError,
        LookupError,
        TypeError,
        DecimalException,
        RecursionError,
    ) as error:
        raise BadNotification(
            "A notification is JSON with an id and a charge (id, reference, "
            "status, currency, amount as text)."
        ) from error


def money(value: object) -> Decimal:
    amount = Decimal(text(value))
    if not amount.is_finite():
        raise ValueError(f"{value!r} is not an amount")
    return amount


def text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise ValueError(f"{value!r} is not a short text")
    return value


def identifier(value: object) -> str:
    """Return an id that is safe in a row, a URL and a log line."""
    if not text(value).isprintable():
        raise ValueError(f"{value!r} is not an id")
    return text(value)
