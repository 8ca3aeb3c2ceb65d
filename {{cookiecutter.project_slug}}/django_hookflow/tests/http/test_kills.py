"""SIGKILL in the middle of real runs, and their end after a restart."""

from __future__ import annotations

from collections import Counter

import pytest

from django_hookflow.tests.http.brake.workflows import STEPS
from django_hookflow.tests.http.stack import Stack

pytestmark = [pytest.mark.http, pytest.mark.slow]

# The statements at which the site is killed, in the order of the workflow.
OF_AN_ORDER = (
    'UPDATE "orders_product"',  # in an atomic step
    'INSERT INTO "payments_sandbox_charge"',  # at the provider
    'UPDATE "orders_payment"',
    "INSERT INTO django_hookflow_stepexecution",  # before or after a COMMIT
    "completed_at = %s",  # in a verdict
)
OF_THE_LEDGER = (
    "INSERT INTO ledger",  # in a step, atomic or not
    "INSERT INTO django_hookflow_stepexecution",
)


def test_orders_survive_kills_of_the_site(stack: Stack) -> None:
    stack.start_site()
    before = stack.products()
    orders = [stack.place_order("MUG-01", n) for n in (1, 2, 3)]

    # QStash delivers their messages from now on, and each meets the brake.
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


def test_orders_survive_a_kill_of_the_embedded_server(stack: Stack) -> None:
    stack.start_qstash("--workers=1")
    stack.start_site()
    before = stack.products()
    stack.brake_at("INSERT INTO django_hookflow_stepexecution")
    orders = [stack.place_order("MUG-01") for _ in range(3)]

    # One message is being delivered, and the others are due.
    stack.wait_until_it_stands()
    stack.kill("qstash")
    stack.release()
    orders.append(stack.place_order("TEA-02"))  # no process takes its message
    stack.start_qstash()

    stack.wait_for(lambda: all_fulfilled(stack, orders), stack.sweep)
    assert_that_it_adds_up(stack, before, orders)


def test_no_committed_step_runs_again_after_a_kill(stack: Stack) -> None:
    runs = ["run-1", "run-2", "run-3"]
    stack.trigger_ledgers(runs)

    for statement in OF_THE_LEDGER:
        for victims in (("site",), ("site", "qstash")):
            stack.brake_at(statement)
            stack.start_missing()
            stack.wait_until_it_stands(stack.sweep)
            for victim in victims:
                stack.kill(victim)
            stack.release()
    stack.start_missing()

    stack.wait_for(lambda: all_completed(stack, runs), stack.sweep)
    assert_that_no_step_ran_after_its_record(stack, runs)


def all_fulfilled(stack: Stack, orders: list[str]) -> bool:
    found = [stack.get(f"/api/orders/{order}/") for order in orders]
    ended = {(order["status"], order["run"]["status"]) for order in found}
    assert not any("failed" in pair for pair in ended), stack.logs()
    return ended == {("fulfilled", "completed")}


def all_completed(stack: Stack, runs: list[str]) -> bool:
    found = stack.rows(
        "SELECT run_id, status FROM django_hookflow_workflowrun"
    )
    return dict(found) == dict.fromkeys(runs, "completed")


def assert_that_it_adds_up(
    stack: Stack, before: dict[str, int], orders: list[str]
) -> None:
    """Check that each order reserved, charged and was paid once."""
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


def assert_that_no_step_ran_after_its_record(
    stack: Stack, runs: list[str]
) -> None:
    written = stack.rows(
        "SELECT l.run_id, l.step_id, l.at, e.executed_at "
        "FROM ledger l "
        "JOIN django_hookflow_workflowrun r ON r.run_id = l.run_id "
        "JOIN django_hookflow_stepexecution e "
        "ON e.workflow_run_id = r.id AND e.step_id = l.step_id"
    )
    times = Counter((run, step) for run, step, _, _ in written)
    late = [row for row in written if moment(row[2]) > moment(row[3])]

    assert late == []
    assert times.keys() == {
        (run, f"step-{number}") for run in runs for number in range(STEPS)
    }
    atomic = {
        key: count
        for key, count in times.items()
        if int(key[1].rpartition("-")[2]) % 2 == 0
    }
    assert set(atomic.values()) == {1}, atomic
    # Every execution but the last had a worker that died, or lost its lease.
    attempts = {
        (run, step): count
        for run, step, count in stack.rows(
            "SELECT r.run_id, e.step_id, e.attempts "
            "FROM django_hookflow_stepexecution e "
            "JOIN django_hookflow_workflowrun r ON e.workflow_run_id = r.id"
        )
    }
    unexplained = {k: n for k, n in times.items() if n > attempts[k]}
    assert unexplained == {}


def moment(value: object) -> str:
    """Return a time in one form for both databases, to compare."""
    return str(value).replace("T", " ")[:26]
