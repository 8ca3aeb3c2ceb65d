"""Orders whose process dies, or whose messages are lost, at every place.

The provider's answers are stubbed; test_process_order.py speaks HTTP.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail

from django_hookflow.testing import Hookflow
from django_hookflow.testing import Run
from orders import payments
from orders.models import Order
from orders.models import Product
from orders.placement import Item
from orders.placement import place_order

pytestmark = [pytest.mark.django_db, pytest.mark.hookflow_faults(budget=80)]

ACCEPTED = {"status_code": 201, "data": {"id": "ch_1"}}
SHIPPED = "Your order is on its way to you"
REMINDER = "Your payment is on its way to us"
EARLIER = ["validate", "reserve-stock", "charge-card"]


def order_of(hookflow: Hookflow, product: Product, answer: Any) -> Run:
    """Place an order of two, and let it run until it waits or ends."""
    hookflow.stub("charge-card", returns=answer)
    place_order("ada@example.com", "tok_settles", [Item(product, 2)])
    return hookflow.get()


def settled(outcome: str, amount: str = "29.00") -> dict[str, str]:
    """Return the provider's report on the charge."""
    return {
        "charge_id": "ch_1",
        "status": outcome,
        "amount": amount,
        "currency": "EUR",
    }


def ending(run: Run) -> tuple[str, str, str, int]:
    """Return how the order ended: statuses of all rows, and the stock."""
    order = Order.objects.select_related("payment").get()
    stock = Product.objects.get().stock
    return run.status, order.status, order.payment.status, stock


def subjects() -> set[str]:
    """Return the subjects of all mail; a crash may send one twice."""
    return {letter.subject for letter in mail.outbox}


def test_a_paid_order_is_fulfilled(hookflow: Hookflow, mug: Product) -> None:
    run = order_of(hookflow, mug, ACCEPTED)

    run.send_event(payments.SETTLED, settled("succeeded"))

    assert ending(run) == ("completed", "fulfilled", "succeeded", 8)
    assert subjects() == {SHIPPED}
    run.assert_steps(
        [
            *EARLIER,
            "record-charge",
            "payment",
            "record-payment",
            "fulfil",
            "confirmation-mail",
        ]
    )


def test_a_declined_card_gives_the_goods_back(
    hookflow: Hookflow, mug: Product
) -> None:
    run = order_of(hookflow, mug, {"status_code": 402, "data": None})

    assert ending(run) == ("completed", "declined", "declined", 10)
    run.assert_steps([*EARLIER, "release-stock"])


def test_an_order_that_is_not_paid_expires(
    hookflow: Hookflow, mug: Product, settings: Any
) -> None:
    settings.ORDERS_PAYMENT_TIMEOUT = 3600
    taken_back = {**settled("cancelled"), "id": "ch_1"}
    hookflow.stub(
        "cancel-charge", returns={"status_code": 200, "data": taken_back}
    )
    run = order_of(hookflow, mug, ACCEPTED)

    run.advance("1h")
    assert subjects() == {REMINDER}
    run.advance("1h")

    assert ending(run) == ("completed", "expired", "cancelled", 10)
    assert subjects() == {REMINDER}


def test_an_order_of_what_is_sold_out_is_cancelled(
    hookflow: Hookflow, mug: Product
) -> None:
    Product.objects.update(stock=1)
    place_order("ada@example.com", "tok_settles", [Item(mug, 2)])
    run = hookflow.get()

    assert ending(run) == ("completed", "cancelled", "created", 1)
