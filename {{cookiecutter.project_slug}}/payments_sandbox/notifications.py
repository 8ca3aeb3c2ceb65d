"""Settle charges and notify the caller, when they are due.

All state is in the row: a notification that a crash lost, or that the
caller did not take, is due again until it is delivered or given up.
"""

from __future__ import annotations

import hmac
import json
import logging
import time
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta

import httpx
from django.conf import settings
from django.db.models import F
from django.utils import timezone

from .cards import BY_TOKEN
from .models import Charge

logger = logging.getLogger(__name__)

SIGNATURE_HEADER = "X-Payments-Signature"
TIMEOUT = 10  # seconds for the caller to answer
MAX_NOTIFICATIONS = 12  # the last one comes after some 45 minutes


@dataclass(frozen=True)
class Report:
    delivered: int
    failed: int


def send_due(now: datetime | None = None) -> Report:
    """Settle and notify everything that is due at `now`."""
    now = now or timezone.now()
    due = Charge.objects.filter(notify_at__lte=now).order_by("notify_at")
    claimed = [charge for charge in due if claim(charge, now)]
    delivered = [charge for charge in claimed if notify(charge, now)]
    return Report(len(delivered), len(claimed) - len(delivered))


def next_due() -> datetime | None:
    """Return when the next charge is due, or None."""
    return (
        Charge.objects.filter(notify_at__isnull=False)
        .order_by("notify_at")
        .values_list("notify_at", flat=True)
        .first()
    )


def claim(charge: Charge, now: datetime) -> bool:
    """Settle the charge and plan the next try, before this one is made.

    Of two notifiers, or a notifier and a cancellation, one finds the time
    in the row unchanged and wins.
    """
    tries = charge.notifications + 1
    again = None if tries >= MAX_NOTIFICATIONS else now + pause_after(tries)
    won = Charge.objects.filter(
        pk=charge.pk, notify_at=charge.notify_at
    ).update(
        status=BY_TOKEN[charge.card_token].outcome,
        notify_at=again,
        notifications=F("notifications") + 1,
    )
    if won:
        charge.refresh_from_db()
    return bool(won)


def pause_after(tries: int) -> timedelta:
    return timedelta(seconds=min(2**tries, 600))


def notify(charge: Charge, now: datetime) -> bool:
    """Post the signed notification; return True if it was accepted."""
    body = json.dumps(
        {
            "id": f"evt_{charge.pk}",
            "type": "charge.settled",
            "charge": charge.as_json(),
        }
    ).encode()
    headers = {
        "Content-Type": "application/json",
        SIGNATURE_HEADER: signature(body),
    }
    try:
        httpx.post(
            charge.webhook_url, content=body, headers=headers, timeout=TIMEOUT
        ).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        logger.warning("%s was not notified: %s", charge.pk, error)
        return False
    Charge.objects.filter(pk=charge.pk).update(notify_at=None, notified_at=now)
    return True


def signature(body: bytes) -> str:
    """Return `t=<seconds>,v1=<hex>`: HMAC-SHA256 over `<seconds>.<body>`."""
    stamp = str(int(time.time()))
    digest = hmac.new(
        settings.PAYMENTS_WEBHOOK_SECRET.encode(),
        stamp.encode() + b"." + body,
        "sha256",
    )
    return f"t={stamp},v1={digest.hexdigest()}"
