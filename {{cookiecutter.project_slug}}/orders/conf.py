"""The settings of the shop, with their types and defaults."""

from __future__ import annotations

from typing import Any

from django.conf import settings


class OrdersSettings:
    """Each attribute is a setting; its value here is the default."""

    PAYMENTS_URL: str = ""
    """The provider's API, for example "https://api.provider.example/v1"."""

    PAYMENTS_API_KEY: str = ""
    """Sent to the provider as bearer token."""

    PAYMENTS_WEBHOOK_SECRET: str = ""
    """Shared with the provider, which signs its notifications with it."""

    DJANGO_HOOKFLOW_DOMAIN: str = ""
    """The public address of this site, where the provider notifies us."""

    ORDERS_CURRENCY: str = "EUR"
    """All prices are in this currency."""

    ORDERS_PAYMENT_TIMEOUT: int = 3600
    """Seconds until we remind the customer, and again until we give up."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if not name.isupper():
            return value
        # os.environ.get() of a variable that is not set is None.
        given = getattr(settings, name, None)
        return value if given is None else given


conf = OrdersSettings()
