"""Orders in the admin: what staff may change, and when."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from orders.models import Order
from orders.models import Product
from orders.tests.conftest import World

pytestmark = pytest.mark.django_db(transaction=True)

BY_HAND = {"status": "fulfilled", "reason": "", "total": "0.01"}


def tried(client: Client, order: Order) -> list[int]:
    """Return the answers to an edit, a deletion, and one from the list."""
    page = f"/admin/orders/order/{order.pk}/"
    chosen = {
        "action": "delete_selected",
        "_selected_action": [str(order.pk)],
        "post": "yes",
    }
    return [
        client.post(f"{page}change/", BY_HAND).status_code,
        client.post(f"{page}delete/", {"post": "yes"}).status_code,
        client.post("/admin/orders/order/", chosen).status_code,
    ]


def test_an_order_is_left_alone_while_its_run_is_open(
    place: Any, admin_client: Client, mug: Product, world: World
) -> None:
    place(card_number="4000000000000341")  # is never heard of again
    world.run_until_quiet()
    order = Order.objects.get()

    answers = tried(admin_client, order)

    assert answers == [403, 403, 403]
    assert list(Order.objects.values()) == [
        {
            "id": order.pk,
            "email": "ada@example.com",
            "status": "reserved",
            "reason": "",
            "total": order.total,
            "run_id": order.run_id,
            "created_at": order.created_at,
        }
    ]


def test_an_order_whose_run_has_failed_is_closed_by_hand(
    place: Any, admin_client: Client, mug: Product, world: World
) -> None:
    place()
    order = Order.objects.get()
    Order.objects.update(status="paid")  # so that its run refuses it
    world.run_until_quiet()
    page = f"/admin/orders/order/{order.pk}/change/"
    closing = {"status": "cancelled", "reason": "Refunded.", "total": "0.01"}
    forms = {
        f"{prefix}-{name}_FORMS": "0"
        for prefix in ("lines", "payment")
        for name in ("TOTAL", "INITIAL")
    }

    answer = admin_client.post(page, closing | forms)

    changed = Order.objects.get()
    assert answer.status_code == 302
    assert (changed.status, changed.reason) == ("cancelled", "Refunded.")
    assert changed.total == order.total


def test_an_order_that_has_ended_keeps_its_status_and_may_be_deleted(
    place: Any, admin_client: Client, mug: Product, world: World
) -> None:
    place()
    world.run_to_the_end()

    answers = tried(admin_client, Order.objects.get())

    assert answers[:2] == [403, 302]
    assert not Order.objects.exists()


def form_of(client: Client, page: str) -> dict[str, Any]:
    """Return the form as a browser sends it, with nothing typed."""
    fields = re.findall(r"<input[^>]*>", client.get(page).content.decode())
    values = {
        name: re.search(r'value="([^"]*)"', field)
        for field in fields
        for name in re.findall(r'name="([^"]*)"', field)
        if name in ("sku", "name", "price", "stock", "initial-stock")
    }
    return {name: value[1] for name, value in values.items() if value}


def test_editing_a_product_leaves_what_orders_took_from_its_stock(
    place: Any, admin_client: Client, mug: Product, world: World
) -> None:
    page = f"/admin/orders/product/{mug.pk}/change/"
    form = form_of(admin_client, page)
    place()  # two of ten
    world.run_to_the_end()

    answer = admin_client.post(page, form | {"name": "Cup"})

    mug.refresh_from_db()
    assert answer.status_code == 302
    assert (mug.name, mug.stock) == ("Cup", 8)


def test_a_stock_that_orders_have_changed_is_not_typed_over(
    place: Any, admin_client: Client, mug: Product, world: World
) -> None:
    page = f"/admin/orders/product/{mug.pk}/change/"
    stale = form_of(admin_client, page)
    place()
    world.run_to_the_end()

    refused = admin_client.post(page, stale | {"stock": "15"})
    fresh = form_of(admin_client, page)
    taken = admin_client.post(page, fresh | {"stock": "13"})

    mug.refresh_from_db()
    assert refused.status_code == 200
    assert "The stock is 8 by now" in refused.content.decode()
    assert (taken.status_code, mug.stock) == (302, 13)


def test_a_product_is_added(admin_client: Client) -> None:
    values = {"sku": "CUP", "name": "Cup", "price": "9.50", "stock": "3"}

    answer = admin_client.post("/admin/orders/product/add/", values)

    assert answer.status_code == 302
    assert Product.objects.get().stock == 3
