"""The provider's books."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q


def new_charge_id() -> str:
    return f"ch_{uuid.uuid4().hex}"


def new_key() -> str:
    return uuid.uuid4().hex


class Charge(models.Model):
    class Status(models.TextChoices):
        PROCESSING = "processing"
        SUCCEEDED = "succeeded"
        DECLINED = "declined"
        CANCELLED = "cancelled"
        REFUNDED = "refunded"

    id = models.CharField(
        primary_key=True, max_length=40, default=new_charge_id, editable=False
    )
    # What the caller sent as Idempotency-Key: one charge for each.
    idempotency_key = models.CharField(
        max_length=255, unique=True, default=new_key
    )
    amount = models.DecimalField(max_digits=16, decimal_places=2)
    currency = models.CharField(max_length=3)
    reference = models.CharField(max_length=100)
    card_token = models.CharField(max_length=100)
    webhook_url = models.CharField(max_length=500)
    status = models.CharField(
        max_length=20, choices=Status, default=Status.PROCESSING
    )
    requests = models.PositiveIntegerField(
        default=0, help_text="How often the caller has asked for this charge."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    # When to settle it and notify the caller; empty if there is nothing to do.
    notify_at = models.DateTimeField(null=True, blank=True)
    notified_at = models.DateTimeField(null=True, blank=True)
    notifications = models.PositiveIntegerField(
        default=0, help_text="How often we tried to tell the caller."
    )

    class Meta:
        ordering = ("-created_at",)
        indexes = (
            models.Index(
                fields=("notify_at",),
                condition=Q(notify_at__isnull=False),
                name="charge_to_notify",
            ),
        )

    def __str__(self) -> str:
        return f"{self.id}: {self.amount} {self.currency}, {self.status}"

    def as_json(self) -> dict[str, Any]:
        """Return the charge as callers see it."""
        return {
            "id": self.id,
            "status": self.status,
            "amount": str(self.amount),
            "currency": self.currency,
            "reference": self.reference,
            "created_at": self.created_at.isoformat(),
        }
