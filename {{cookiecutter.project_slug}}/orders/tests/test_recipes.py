"""The workflows to copy from, delivered once and twice."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import LazySettings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core import mail

from django_hookflow import answer_question
from django_hookflow import open_questions
from django_hookflow.models import WorkflowRun
from orders.models import Order
from orders.models import OrderLine
from orders.models import Payment
from orders.models import Product
from orders.recipes import APPROVERS
from orders.recipes import MANAGERS
from orders.recipes import approve_large_order
from orders.recipes import nightly_report
from orders.recipes import onboard_customer
from orders.recipes import refund_order
from orders.tests.conftest import World
from payments_sandbox.models import Charge

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def order(mug: Product) -> Order:
    """Return an order of two mugs for which nothing was done yet."""
    order = Order.objects.create(
        email="ada@example.com", total=Decimal(29), run_id="none"
    )
    OrderLine.objects.create(
        order=order, product=mug, quantity=2, unit_price=mug.price
    )
    Payment.objects.create(
        order=order, amount=order.total, card_token="tok_settles"
    )
    return order


@pytest.fixture
def sold(order: Order, mug: Product) -> Order:
    """Return the order when it is paid, and the goods are gone."""
    charge = Charge.objects.create(
        amount=order.total, currency="EUR", status=Charge.Status.SUCCEEDED
    )
    Payment.objects.update(
        provider_id=charge.pk, status=Payment.Status.SUCCEEDED
    )
    Product.objects.update(stock=8)
    Order.objects.update(status=Order.Status.FULFILLED)
    return order


def run_of(run_id: str) -> WorkflowRun:
    return WorkflowRun.objects.get(run_id=run_id)


def statuses() -> tuple[str, str, str, int]:
    """Return those of the only order, payment and charge, and the stock."""
    return (
        Order.objects.get().status,
        Payment.objects.get().status,
        Charge.objects.get().status,
        Product.objects.get().stock,
    )


def test_a_refund_gives_money_and_goods_back(
    world: World, sold: Order
) -> None:
    run_id = refund_order.trigger(data={"order_id": str(sold.pk)})
    world.run_to_the_end()

    assert run_of(run_id).status == "completed"
    assert statuses() == ("refunded", "refunded", "refunded", 10)
    assert [m.subject for m in mail.outbox] == [
        "Your money is on its way to you"
    ]


def test_a_refund_that_is_refused_leaves_all_as_it_was(
    world: World, sold: Order
) -> None:
    Charge.objects.update(status=Charge.Status.DECLINED)

    run_id = refund_order.trigger(data={"order_id": str(sold.pk)})
    world.run_to_the_end()

    run = run_of(run_id)
    assert run.status == "compensated"
    assert run.error_message.endswith("it answered 409.")
    assert statuses() == ("fulfilled", "succeeded", "declined", 8)
    assert world.journal()[-2:] == [
        ("restock~undo", "completed"),
        ("begin-return~undo", "completed"),
    ]
    assert not mail.outbox


@pytest.mark.parametrize("is_approved", [True, False])
def test_a_large_order_is_processed_when_people_approve_it(
    world: World, order: Order, is_approved: bool
) -> None:
    approvers = Group.objects.create(name=APPROVERS)
    Group.objects.create(name=MANAGERS)
    clerk = get_user_model().objects.create_user("clerk")
    clerk.groups.add(approvers)

    run_id = approve_large_order.trigger(data={"order_id": str(order.pk)})
    world.run_until_quiet()
    (question,) = open_questions(clerk)
    assert question.title == "Accept an order of 29.00 EUR?"
    answer_question(
        question.pk, {"approved": is_approved, "note": "Too large"}, by=clerk
    )
    world.run_to_the_end()

    run = run_of(run_id)
    order.refresh_from_db()
    assert run.status == "completed"
    assert run.result == {"order_id": str(order.pk), "status": order.status}
    assert (order.status, order.reason) == (
        ("fulfilled", "") if is_approved else ("cancelled", "Too large")
    )


def test_a_large_order_that_nobody_approves_is_closed(
    world: World, order: Order
) -> None:
    Group.objects.create(name=APPROVERS)
    Group.objects.create(name=MANAGERS)

    approve_large_order.trigger(data={"order_id": str(order.pk)})
    world.run_to_the_end()

    order.refresh_from_db()
    assert (order.status, order.reason) == (
        "cancelled",
        "It was not approved in time.",
    )


def test_a_customer_is_written_to_again_after_a_day(world: World) -> None:
    began = world.now
    run_id = onboard_customer.trigger(data={"email": "ada@example.com"})
    world.run_until_quiet()
    assert [m.subject for m in mail.outbox] == ["Welcome to our shop"]

    world.run_to_the_end()

    assert run_of(run_id).result["status"] == "completed"
    assert world.now - began >= timedelta(hours=24)
    assert [m.body for m in mail.outbox[1:]] == ["Look at what is new."]


def test_the_orders_of_the_last_day_are_added_up(
    world: World, sold: Order, settings: LazySettings
) -> None:
    for _ in range(11):
        Order.objects.create(
            email="ada@example.com",
            total=Decimal("0.50"),
            status=Order.Status.FULFILLED,
            run_id=f"none-{Order.objects.count()}",
        )
    Order.objects.create(email="a@example.com", total=Decimal(7), run_id="x")

    run_id = nightly_report.trigger(run_id="report-2026-01-01")
    nightly_report.trigger(run_id="report-2026-01-01")
    world.run_to_the_end()

    assert run_of(run_id).result == {"orders": "12", "total": "34.50"}
    (sent,) = mail.outbox
    assert (sent.to, sent.body) == (
        [settings.SERVER_EMAIL],
        f"12 orders, 34.50 {settings.ORDERS_CURRENCY}",
    )
