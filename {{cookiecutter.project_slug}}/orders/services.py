"""The steps of an order's workflow.

Plain functions over rows. Each moves an order from one status to the next
and refuses when it is not where it should be, so none can happen twice.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F

from django_hookflow.exceptions import PermanentError

from . import payments
from .models import Order
from .models import OrderLine
from .models import Payment
from .models import Product

Status = Order.Status


class SoldOut(Exception):
    """Not enough is left of a product."""

    def __init__(self, line: OrderLine) -> None:
        super().__init__(f"{line.product.name} is sold out.")


def validate_order(order_id: str) -> dict[str, str]:
    """Return the charge to request; raise if the order is not new."""
    payment = Payment.objects.select_related("order").get(order__pk=order_id)
    if payment.order.status != Status.PLACED:
        raise wrong_status(payment.order, Status.PLACED)
    return payments.charge_request(payment)


@transaction.atomic
def reserve_stock(order_id: str) -> bool:
    """Take all goods out of the stock, or none and cancel the order."""
    try:
        with transaction.atomic():
            for line in lines_of(order_id):
                take(line)
    except SoldOut as error:
        move(order_id, Status.PLACED, Status.CANCELLED, reason=str(error))
        return False
    move(order_id, Status.PLACED, Status.RESERVED)
    return True


def take(line: OrderLine) -> None:
    # One conditional statement: two orders for the last item cannot both
    # see it and both take it.
    taken = Product.objects.filter(
        pk=line.product_id, stock__gte=line.quantity
    ).update(stock=F("stock") - line.quantity)
    if not taken:
        raise SoldOut(line)


def record_charge(order_id: str, charge_id: str) -> None:
    """Remember the provider's id of the charge."""
    Payment.objects.filter(order__pk=order_id).update(
        provider_id=charge_id, status=Payment.Status.PROCESSING
    )


@transaction.atomic
def record_payment(order_id: str, amount: str) -> None:
    """Mark the order paid; raise if the amount is not the order's."""
    payment = Payment.objects.get(order__pk=order_id)
    if Decimal(amount) != payment.amount:
        raise PermanentError(
            f"Order {order_id} costs {payment.amount}, but {amount} was "
            "paid. Look into it with the provider."
        )
    move(order_id, Status.RESERVED, Status.PAID)
    set_payment(order_id, Payment.Status.SUCCEEDED)


def fulfil(order_id: str) -> None:
    """Hand the order to the warehouse."""
    move(order_id, Status.PAID, Status.FULFILLED)


@transaction.atomic
def release_stock(order_id: str, status: str, reason: str) -> None:
    """Put the goods back and close the order with this status."""
    move(order_id, Status.RESERVED, status, reason=reason)
    for line in lines_of(order_id):
        Product.objects.filter(pk=line.product_id).update(
            stock=F("stock") + line.quantity
        )
    declined = status == Status.DECLINED
    set_payment(
        order_id,
        Payment.Status.DECLINED if declined else Payment.Status.CANCELLED,
    )


def send_reminder(order_id: str) -> None:
    order = Order.objects.get(pk=order_id)
    send_mail(
        "Your payment is on its way to us",
        f"Your bank has not confirmed {price(order)} for order {order_id} "
        "yet. We keep your goods a little longer.",
        None,
        [order.email],
    )


def send_confirmation(order_id: str) -> None:
    order = Order.objects.get(pk=order_id)
    send_mail(
        "Your order is on its way to you",
        f"Thank you. We have received {price(order)} for order {order_id}.",
        None,
        [order.email],
    )


def price(order: Order) -> str:
    return f"{order.total} {settings.ORDERS_CURRENCY}"


def lines_of(order_id: str) -> list[OrderLine]:
    """Return the lines in one order, so that two runs cannot deadlock."""
    return list(
        OrderLine.objects.filter(order__pk=order_id)
        .select_related("product")
        .order_by("product_id")
    )


def move(order_id: str, before: str, after: str, **changes: Any) -> None:
    """Change the status of an order that is where it should be."""
    orders = Order.objects.filter(pk=order_id)
    if not orders.filter(status=before).update(status=after, **changes):
        raise wrong_status(orders.get(), before)


def set_payment(order_id: str, status: Payment.Status) -> None:
    Payment.objects.filter(order__pk=order_id).update(status=status)


def wrong_status(order: Order, expected: str) -> PermanentError:
    return PermanentError(
        f"Order {order.pk} is {order.status}, not {expected}. It was changed "
        "outside this run, or another run has handled it."
    )
