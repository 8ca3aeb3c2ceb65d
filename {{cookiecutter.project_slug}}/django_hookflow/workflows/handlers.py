"""Doors for older imports: the check of signatures, the next message."""

from __future__ import annotations

from django_hookflow.delivery import Delivery
from django_hookflow.transports import get_transport
from django_hookflow.transports.signature import verify_qstash_signature

__all__ = ["publish_next_step", "verify_qstash_signature"]


def publish_next_step(delivery: Delivery) -> None:
    """Send a message by the transport of the settings."""
    get_transport().send(delivery)
