"""The steps of an order's workflow.

Plain functions over rows. Each moves an order from one status to the next
and refuses when it is not where it should be, so none can happen twice.
"""

from __future__ import annotations

from datetime import datetime
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
    restock(order_id)
    declined = status == Status.DECLINED
    set_payment(
        order_id,
        Payment.Status.DECLINED if declined else Payment.Status.CANCELLED,
    )


def begin_return(order_id: str) -> str:
    """Note that an order comes back; return the id of its charge."""
    move(order_id, Status.FULFILLED, Status.RETURNING)
    return Payment.objects.get(order__pk=order_id).provider_id


def refuse_return(charge_id: str) -> None:
    """Undo `begin_return`, whose result this gets."""
    payment = Payment.objects.get(provider_id=charge_id)
    move(str(payment.order_id), Status.RETURNING, Status.FULFILLED)


def restock(order_id: str) -> str:
    for line in lines_of(order_id):
        Product.objects.filter(pk=line.product_id).update(
            stock=F("stock") + line.quantity
        )
    return order_id


@transaction.atomic
def take_again(order_id: str) -> None:
    """Undo `restock`; a product that was sold meanwhile is an error."""
    for line in lines_of(order_id):
        take(line)


@transaction.atomic
def record_refund(order_id: str) -> None:
    move(order_id, Status.RETURNING, Status.REFUNDED)
    set_payment(order_id, Payment.Status.REFUNDED)


def reject(order_id: str, reason: str) -> None:
    """Close an order that nothing was done for yet."""
    move(order_id, Status.PLACED, Status.CANCELLED, reason=reason)


def total_of(order_id: str) -> str:
    return str(Order.objects.get(pk=order_id).total)


def orders_of(email: str) -> int:
    return Order.objects.filter(email=email).count()


def fulfilled_since(moment: datetime) -> list[str]:
    """Return the ids of the orders that were placed since, and fulfilled."""
    orders = Order.objects.filter(
        status=Status.FULFILLED, created_at__gte=moment
    )
    return [str(pk) for pk in orders.values_list("pk", flat=True)]


def send_refund_note(order_id: str) -> None:
    order = Order.objects.get(pk=order_id)
    send_letter(
        order.email,
        "Your money is on its way to you",
        f"We have sent you {price(order)} for order {order_id}.",
    )


def send_reminder(order_id: str) -> None:
    order = Order.objects.get(pk=order_id)
    send_letter(
        order.email,
        "Your payment is on its way to us",
        f"Your bank has not confirmed {price(order)} for order {order_id} "
        "yet. We keep your goods a little longer.",
    )


def send_confirmation(order_id: str) -> None:
    order = Order.objects.get(pk=order_id)
    send_letter(
        order.email,
        "Your order is on its way to you",
        f"Thank you. We have received {price(order)} for order {order_id}.",
    )


def send_letter(email: str, subject: str, text: str) -> None:
    send_mail(subject, text, None, [email])


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
