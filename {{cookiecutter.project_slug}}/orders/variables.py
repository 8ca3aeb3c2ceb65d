"""The environment variables of the shop."""

from __future__ import annotations

from config.declaration import EVERYWHERE
from config.declaration import HOST
from config.declaration import LOCAL
from config.declaration import SECURITY
from config.declaration import SHOP
from config.declaration import Variable

DECLARED = (
    Variable(
        name="DJANGO_THROTTLE_ORDERS",
        group=SECURITY,
        help="Orders per client address, per second, minute, hour or day.",
        kind="rate",
        default="30/minute",
        defaults={LOCAL: "off"},
    ),
    Variable(
        name="DJANGO_THROTTLE_STATUS",
        group=SECURITY,
        help="Status requests for orders per client address; an open page "
        "sends one per second until its order ends.",
        kind="rate",
        default="600/minute",
        defaults={LOCAL: "off"},
    ),
    Variable(
        name="PAYMENTS_URL",
        group=SHOP,
        help="Address of the payment provider; this project contains a "
        "simulated one, the sandbox.",
        needed=EVERYWHERE,
        example=f"https://{HOST}/sandbox",
        fresh="http://127.0.0.1:8000/sandbox",
    ),
    Variable(
        name="PAYMENTS_API_KEY",
        group=SHOP,
        help="Authenticates us to the provider.",
        needed=EVERYWHERE,
        secret=True,
        fresh="",
    ),
    Variable(
        name="PAYMENTS_WEBHOOK_SECRET",
        group=SHOP,
        help="Verifies webhooks from the provider.",
        needed=EVERYWHERE,
        secret=True,
        fresh="",
    ),
    Variable(
        name="ORDERS_CURRENCY",
        group=SHOP,
        help="The currency of all prices.",
        default="EUR",
    ),
    Variable(
        name="ORDERS_PAYMENT_TIMEOUT",
        group=SHOP,
        help="Seconds until a customer is reminded of a payment, and then "
        "until the order is cancelled.",
        kind="whole",
        default=3600,
        defaults={LOCAL: 60},
        least=1,
    ),
)
