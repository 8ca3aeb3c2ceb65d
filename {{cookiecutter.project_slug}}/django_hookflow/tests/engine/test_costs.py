"""Costs that do not depend on the machine: statements, messages, bytes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.persistence import sql
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport


def statements(world: World) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        world.deliver()
    return [query["sql"].split(None, 1)[0] for query in captured]


def test_a_first_delivery_costs_two_statements_beside_its_steps(
    world: World,
) -> None:
    @workflow
    def steps(ctx: WorkflowContext) -> None:
        for n in range(ctx.data["n"]):
            ctx.step.run(f"step-{n}", str)

    steps.trigger({"n": 0})
    empty = statements(world)
    steps.trigger({"n": 10})
    ten = statements(world)

    assert empty == ["UPDATE", "UPDATE"]
    assert ten == ["UPDATE", *["INSERT"] * 10, "UPDATE"]


def test_a_later_delivery_also_reads_the_journal(world: World) -> None:
    @workflow
    def napper(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", 60)
        ctx.step.run("wake", str)

    napper.trigger()
    world.deliver()
    world.now += timedelta(minutes=1)

    assert statements(world) == [
        "UPDATE", "SELECT", "INSERT", "INSERT", "UPDATE",
    ]  # fmt: skip


def test_a_delivery_that_waits_costs_five(world: World) -> None:
    @workflow
    def sleeper(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", 60)

    sleeper.trigger()

    assert statements(world) == [
        "UPDATE", "BEGIN", "UPDATE", "INSERT", "COMMIT",
    ]  # fmt: skip


def test_a_message_is_small_whatever_the_state(world: World) -> None:
    sizes: list[int] = []

    @workflow
    def growing(ctx: WorkflowContext) -> None:
        for n in range(20):
            ctx.step.run(f"fetch-{n}", lambda: "x" * 50_000)
            ctx.step.sleep(f"nap-{n}", 1)

    growing.trigger({"large": "y" * 50_000})
    memory_transport().drain(
        on_delivery=lambda m: sizes.append(len(m.delivery.encode()))
    )
    while due := memory_transport().next_due():
        world.now = due
        memory_transport().drain(
            on_delivery=lambda m: sizes.append(len(m.delivery.encode()))
        )

    assert len(sizes) == 21
    assert max(sizes) < 200


def test_messages_are_one_more_than_the_waits(every: World) -> None:
    @workflow
    def shop(ctx: WorkflowContext) -> Any:
        ctx.step.run("validate", str)
        ctx.step.sleep("wait-for-payment", 60)
        ctx.step.run("charge", str)
        return ctx.step.run("fulfill", str)

    run = every.finish(shop.trigger())

    assert (run.messages, run.deliveries) == (2, 2)


def test_a_step_of_a_delivery_is_executed_only_in_it(world: World) -> None:
    @workflow
    def many(ctx: WorkflowContext) -> int:
        return sum(ctx.step.run(f"s{n}", int) for n in range(300))

    run = world.finish(many.trigger())

    assert (run.deliveries, run.step_executions.count()) == (1, 300)


@pytest.mark.parametrize(
    ("model", "columns", "rest"),
    [
        ("WorkflowRun", sql.RUN_COLUMNS, {"id"}),
        ("StepExecution", sql.STEP_COLUMNS, {"id", "workflow_run_id"}),
    ],
)
def test_the_written_statements_know_every_column(
    model: str, columns: tuple[str, ...], rest: set[str]
) -> None:
    fields = apps.get_model("django_hookflow", model)._meta.concrete_fields

    assert [f.column for f in fields if f.column not in rest] == [*columns]
