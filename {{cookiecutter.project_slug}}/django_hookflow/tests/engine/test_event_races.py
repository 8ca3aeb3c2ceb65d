"""Events that arrive while a run suspends, or that another run takes."""

from __future__ import annotations

from typing import Any

from django.db import connection

from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.models import Event
from django_hookflow.testing.world import World


def test_an_event_that_comes_while_the_run_suspends_wakes_it(
    every: World,
) -> None:
    looks: list[str] = []

    def send_before_commit(
        execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if sql.startswith("SELECT") and "hookflow_event" in sql:
            looks.append(sql)
            # The step has looked in vain; the commit is about to look again.
            if len(looks) == 2:
                send_event("paid", "just in time", match="order-1")
        return execute(sql, params, many, context)

    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("wait", "paid", match="order-1")

    run_id = waiter.trigger()
    with connection.execute_wrapper(send_before_commit):
        every.deliver()

    run = every.run_of(run_id)
    assert (run.status, run.result) == ("completed", "just in time")
    assert (run.deliveries, run.messages) == (2, 2)


def test_an_event_that_another_run_takes_first_is_waited_for(
    every: World,
) -> None:
    taken: list[int] = []

    def take_first(
        execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        result = execute(sql, params, many, context)
        if "FROM" in sql and "hookflow_event" in sql and not taken:
            taken.append(1)
            Event.objects.update(consumed_at=every.now)
        return result

    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("wait", "paid", match="order-1")

    run_id = waiter.trigger()
    send_event("paid", 1, match="order-1")
    with connection.execute_wrapper(take_first):
        every.deliver()

    assert every.run_of(run_id).status == "waiting"
