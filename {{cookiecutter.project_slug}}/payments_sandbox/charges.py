"""The life of a charge at the provider."""

from __future__ import annotations

from dataclasses import asdict
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from .cards import BY_TOKEN
from .models import Charge
from .notifier import notifier

Status = Charge.Status


class Unavailable(Exception):
    """The provider refuses for now; asking again helps."""


class KeyReused(Exception):
    """The idempotency key belongs to a charge of other content."""


@dataclass(frozen=True)
class ChargeRequest:
    amount: Decimal
    currency: str
    reference: str
    card_token: str
    webhook_url: str


def create(request: ChargeRequest, key: str) -> Charge:
    """Return the charge of this key, new or of an earlier request.

    Raises Unavailable as often as the card wants, and KeyReused.
    """
    charge = requested(request, key)
    card = BY_TOKEN[charge.card_token]
    if charge.requests <= card.refusals:
        raise Unavailable("The provider is busy. Try again.")
    accept(charge)
    return charge


@transaction.atomic
def requested(request: ChargeRequest, key: str) -> Charge:
    """Count this request; return the row of its key."""
    content = asdict(request)
    charge, _ = Charge.objects.get_or_create(
        idempotency_key=key, defaults=content
    )
    if any(getattr(charge, name) != content[name] for name in content):
        raise KeyReused(
            "This Idempotency-Key was used for another charge. Take a new "
            "key for each charge, and the old one to repeat it."
        )
    Charge.objects.filter(pk=charge.pk).update(requests=F("requests") + 1)
    charge.refresh_from_db()
    return charge


@transaction.atomic
def accept(charge: Charge) -> None:
    """Plan the end of the charge, once."""
    delay = BY_TOKEN[charge.card_token].delay
    if delay is None:
        return
    Charge.objects.filter(
        pk=charge.pk,
        status=Status.PROCESSING,
        notify_at=None,
        notified_at=None,
    ).update(notify_at=timezone.now() + delay)
    transaction.on_commit(notifier.wake)


def refund(charge_id: str) -> None:
    """Give the money of a charge back, if it has come."""
    Charge.objects.filter(pk=charge_id, status=Status.SUCCEEDED).update(
        status=Status.REFUNDED
    )


def cancel(charge_id: str) -> None:
    """Cancel a charge, unless it has ended."""
    Charge.objects.filter(pk=charge_id, status=Status.PROCESSING).update(
        status=Status.CANCELLED, notify_at=None
    )
