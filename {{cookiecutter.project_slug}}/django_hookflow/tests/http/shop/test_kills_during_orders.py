"""SIGKILL in the middle of orders, and their rows after a restart."""

from __future__ import annotations

from collections import Counter

import pytest

from django_hookflow.tests.http.shop.shop import Shop

pytestmark = [pytest.mark.http, pytest.mark.slow]

# Where the site stands when it is killed, in the order of the workflow.
OF_AN_ORDER = (
    'UPDATE "orders_product"',  # in an atomic step
    'INSERT INTO "payments_sandbox_charge"',  # at the provider
    'UPDATE "orders_payment"',
    "INSERT INTO django_hookflow_stepexecution",  # before or after a COMMIT
    "completed_at = %s",  # in a verdict
)


def test_orders_survive_kills_of_the_site(stack: Shop) -> None:
    stack.start_site()
    before = stack.products()
    orders = [stack.place_order("MUG-01", n) for n in (1, 2, 3)]

    # QStash takes their messages from now on, and meets a brake each time.
    for statement in OF_AN_ORDER:
        stack.brake_at(statement)
        stack.start_missing()
        stack.wait_until_it_stands(stack.sweep)
        stack.kill("site")
        stack.release()
    stack.start_site()
    orders.append(stack.place_order("TEA-02"))

    stack.wait_for(lambda: all_fulfilled(stack, orders), stack.sweep)
    assert_that_it_adds_up(stack, before, orders)


def test_orders_survive_a_kill_of_the_embedded_server(stack: Shop) -> None:
    stack.start_qstash("--workers=1")
    stack.start_site()
    before = stack.products()
    stack.brake_at("INSERT INTO django_hookflow_stepexecution")
    orders = [stack.place_order("MUG-01") for _ in range(3)]

    # One message is being delivered, and the others are due.
    stack.wait_until_it_stands()
    stack.kill("qstash")
    stack.release()
    orders.append(stack.place_order("TEA-02"))  # nobody takes its message
    stack.start_qstash()

    stack.wait_for(lambda: all_fulfilled(stack, orders), stack.sweep)
    assert_that_it_adds_up(stack, before, orders)


def all_fulfilled(stack: Shop, orders: list[str]) -> bool:
    found = [stack.get(f"/api/orders/{order}/") for order in orders]
    ended = {(order["status"], order["run"]["status"]) for order in found}
    assert not any("failed" in pair for pair in ended), stack.logs()
    return ended == {("fulfilled", "completed")}


def assert_that_it_adds_up(
    stack: Shop, before: dict[str, int], orders: list[str]
) -> None:
    """Each order took its goods once, and was charged and paid once."""
    sold = Counter(
        {
            sku: int(quantity)
            for sku, quantity in stack.rows(
                "SELECT p.sku, SUM(l.quantity) FROM orders_orderline l "
                "JOIN orders_product p ON p.id = l.product_id GROUP BY p.sku"
            )
        }
    )
    assert Counter(before) - Counter(stack.products()) == sold
    paid = stack.rows("SELECT amount, status FROM orders_payment")
    charged = stack.rows("SELECT amount, status FROM payments_sandbox_charge")
    assert sorted(paid) == sorted(charged)
    assert {status for _, status in paid} == {"succeeded"}
    assert len(paid) == len(orders)
    ended = stack.rows(
        "SELECT COUNT(*) FROM django_hookflow_stepexecution "
        "WHERE status = 'completed' AND step_id = 'fulfil'"
    )
    assert ended == [(len(orders),)]
