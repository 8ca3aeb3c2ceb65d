"""The part of the sandbox: the provider of this site, or unused."""

from __future__ import annotations

from django.conf import settings


def is_the_provider() -> bool:
    """Return True if the shop asks the sandbox, not a real provider."""
    url: str = settings.PAYMENTS_URL
    return url.rstrip("/").endswith("/sandbox")


def has_notifier() -> bool:
    """Return True if a thread of the site notifies, as with DEBUG on.

    Without it, `manage.py settle_payments` notifies.
    """
    return bool(getattr(settings, "PAYMENTS_SANDBOX_NOTIFIER", settings.DEBUG))
