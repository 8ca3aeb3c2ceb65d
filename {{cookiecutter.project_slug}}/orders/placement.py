"""Place an order: its rows and its run are created together or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from .models import Order
from .models import OrderLine
from .models import Payment
from .models import Product
from .workflows import process_order


@dataclass(frozen=True)
class Item:
    product: Product
    quantity: int


@transaction.atomic
def place_order(email: str, card_token: str, items: Sequence[Item]) -> Order:
    """Create an order and trigger its workflow, in one transaction."""
    order_id = uuid.uuid4()
    order = Order.objects.create(
        id=order_id,
        email=email,
        total=sum(item.product.price * item.quantity for item in items),
        run_id=f"order-{order_id}",
    )
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order,
            product=item.product,
            quantity=item.quantity,
            unit_price=item.product.price,
        )
        for item in items
    )
    Payment.objects.create(
        order=order, amount=order.total, card_token=card_token
    )
    process_order.trigger(
        data={"order_id": str(order_id)}, run_id=order.run_id
    )
    return order
