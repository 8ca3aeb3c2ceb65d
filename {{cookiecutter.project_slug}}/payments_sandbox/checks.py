"""A warning where the sandbox is deployed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Tags
from django.core.checks import Warning as CheckWarning
from django.core.checks import register

from .role import is_the_provider


@register(Tags.security, deploy=True)
def check_provider(**_: Any) -> list[CheckMessage]:
    if settings.DEBUG or not is_the_provider():
        return []
    return [
        CheckWarning(
            f"PAYMENTS_URL is {settings.PAYMENTS_URL}, the sandbox of this "
            "site: orders are paid with test cards that anyone can type, and "
            "no money arrives.",
            hint="Set PAYMENTS_URL to your provider before you sell. For a "
            'demonstration, add "payments_sandbox.W001" to '
            "SILENCED_SYSTEM_CHECKS.",
            id="payments_sandbox.W001",
        )
    ]
