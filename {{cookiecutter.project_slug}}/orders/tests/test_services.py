"""The bodies of the steps, each alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.db import IntegrityError
from django.db import connection
from django.db import transaction

from django_hookflow.exceptions import PermanentError
from django_hookflow.models import WorkflowRun
from orders import services
from orders.models import Order
from orders.models import OrderLine
from orders.models import Product
from orders.placement import Item
from orders.placement import place_order

pytestmark = pytest.mark.django_db


def ordered(*items: tuple[Product, int], status: str = "placed") -> str:
    """Return the id of an order of these."""
    order = place_order(
        "ada@example.com", "tok_settles", [Item(*item) for item in items]
    )
    Order.objects.filter(pk=order.pk).update(status=status)
    return str(order.pk)


def state(order_id: str) -> tuple[str, str, str]:
    order = Order.objects.select_related("payment").get(pk=order_id)
    return order.status, order.reason, order.payment.status


def test_valid_order_gives_the_charge_to_ask_for(mug: Product) -> None:
    order_id = ordered((mug, 2))

    assert services.validate_order(order_id) == {
        "amount": "29.00",
        "currency": "EUR",
        "reference": order_id,
        "card_token": "tok_settles",
        "webhook_url": "http://testserver/payments/webhook/",
    }


def test_stock_is_reserved(mug: Product, last_pot: Product) -> None:
    order_id = ordered((mug, 2), (last_pot, 1))

    reserved = services.reserve_stock(order_id)

    assert reserved
    assert state(order_id) == ("reserved", "", "created")
    assert stocks() == {"MUG": 8, "POT": 0}


def test_nothing_is_reserved_when_something_is_sold_out(
    mug: Product, last_pot: Product
) -> None:
    order_id = ordered((mug, 2), (last_pot, 1))
    Product.objects.filter(sku="POT").update(stock=0)

    reserved = services.reserve_stock(order_id)

    assert not reserved
    assert state(order_id) == ("cancelled", "Teapot is sold out.", "created")
    assert stocks() == {"MUG": 10, "POT": 0}


@pytest.mark.parametrize(
    ("status", "payment"),
    [("declined", "declined"), ("expired", "cancelled")],
)
def test_stock_is_released(mug: Product, status: str, payment: str) -> None:
    order_id = ordered((mug, 2))
    services.reserve_stock(order_id)

    services.release_stock(order_id, status, "Because.")

    assert state(order_id) == (status, "Because.", payment)
    assert stocks() == {"MUG": 10}


def test_payment_is_recorded(mug: Product) -> None:
    order_id = ordered((mug, 2), status="reserved")

    services.record_charge(order_id, "ch_1")
    services.record_payment(order_id, "29.00")

    assert state(order_id) == ("paid", "", "succeeded")
    assert Order.objects.get().payment.provider_id == "ch_1"


def test_wrong_amount_is_not_taken_for_a_payment(mug: Product) -> None:
    order_id = ordered((mug, 2), status="reserved")

    with pytest.raises(PermanentError, match=r"costs 29\.00, but 0\.29 was"):
        services.record_payment(order_id, "0.29")

    assert state(order_id) == ("reserved", "", "created")


def test_paid_order_is_fulfilled(mug: Product) -> None:
    order_id = ordered((mug, 2), status="paid")

    services.fulfil(order_id)

    assert state(order_id)[0] == "fulfilled"


REPEATED: list[Callable[[str], Any]] = [
    services.validate_order,
    services.reserve_stock,
    services.fulfil,
    lambda order_id: services.record_payment(order_id, "29.00"),
    lambda order_id: services.release_stock(order_id, "expired", ""),
]


@pytest.mark.parametrize("service", REPEATED)
def test_closed_order_is_left_alone(
    mug: Product, service: Callable[[str], Any]
) -> None:
    order_id = ordered((mug, 2), status="declined")

    with pytest.raises(PermanentError, match=f"Order {order_id} is declined"):
        service(order_id)

    assert state(order_id) == ("declined", "", "created")
    assert stocks() == {"MUG": 10}


@pytest.mark.parametrize(
    ("send", "subject"),
    [
        (services.send_reminder, "Your payment is on its way to us"),
        (services.send_confirmation, "Your order is on its way to you"),
    ],
)
def test_mail_is_sent(
    mug: Product, send: Callable[[str], None], subject: str
) -> None:
    order_id = ordered((mug, 2))

    send(order_id)

    [letter] = mail.outbox
    assert (letter.subject, letter.to) == (subject, ["ada@example.com"])
    assert order_id in letter.body
    assert "29.00 EUR" in letter.body


def test_order_and_run_are_placed_together_or_not_at_all(
    mug: Product,
) -> None:
    with transaction.atomic():
        ordered((mug, 1))
        transaction.set_rollback(True)

    assert not Order.objects.exists()
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda: Product.objects.update(stock=-1),
        lambda: Product.objects.update(price=0),
        lambda: OrderLine.objects.update(quantity=0),
        lambda: repeat(OrderLine.objects.get()),
        lambda: repeat(Product.objects.get()),
    ],
)
def test_database_refuses_nonsense(
    mug: Product, change: Callable[[], Any]
) -> None:
    ordered((mug, 1))

    with pytest.raises(IntegrityError), transaction.atomic():
        change()


@pytest.mark.django_db(transaction=True)
def test_concurrent_orders_never_oversell(
    mug: Product, last_pot: Product
) -> None:
    """Twenty orders for ten mugs; half of them name the pot first."""
    Product.objects.filter(sku="POT").update(stock=100)
    orders = [
        ordered(*sorted([(mug, 1), (last_pot, 1)], key=lambda i: i[0].pk,
                        reverse=bool(number % 2)))
        for number in range(20)
    ]  # fmt: skip
    reserved: list[bool] = []

    in_threads(lambda order: reserved.append(reserve(order)), orders)

    assert sorted(reserved) == [False] * 10 + [True] * 10
    assert stocks() == {"MUG": 0, "POT": 90}
    assert Order.objects.filter(status="reserved").count() == 10


def reserve(order_id: str) -> bool:
    try:
        return services.reserve_stock(order_id)
    finally:
        connection.close()


def in_threads(work: Callable[[str], Any], items: list[str]) -> None:
    if connection.vendor == "sqlite":  # has one writer, so they come in turn
        for item in items:
            work(item)
        return
    threads = [threading.Thread(target=work, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def repeat(row: Any) -> None:
    row.pk = None
    row.save(force_insert=True)


def stocks() -> dict[str, int]:
    return dict(Product.objects.values_list("sku", "stock"))


def test_line_amount_is_exact(mug: Product) -> None:
    line = OrderLine(product=mug, quantity=3, unit_price=Decimal("0.10"))

    assert line.amount == Decimal("0.30")
