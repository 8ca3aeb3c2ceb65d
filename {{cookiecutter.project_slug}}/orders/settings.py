"""The settings of the shop; config/settings/base.py includes them."""

from __future__ import annotations

from config.environment import variable

# The payment provider; payments_sandbox simulates it by default.
PAYMENTS_URL = variable("PAYMENTS_URL")
PAYMENTS_API_KEY = variable("PAYMENTS_API_KEY")
PAYMENTS_WEBHOOK_SECRET = variable("PAYMENTS_WEBHOOK_SECRET")

ORDERS_CURRENCY = variable("ORDERS_CURRENCY")
# Seconds until the customer is reminded, and again until the order expires.
ORDERS_PAYMENT_TIMEOUT = variable("ORDERS_PAYMENT_TIMEOUT")
