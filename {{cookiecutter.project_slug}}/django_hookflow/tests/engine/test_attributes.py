"""Attributes that a function sets of its run."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World


@workflow(workflow_id="tagged")
def tagged(ctx: WorkflowContext) -> Any:
    ctx.set(phase="paid", order=7, gone=True)
    ctx.step.sleep("rest", 60)
    ctx.set(phase="shipped", gone=None)
    ctx.step.run("again", str)
    return ctx.attributes["phase"]


def found(**wanted: Any) -> list[str]:
    runs = WorkflowRun.objects.with_attributes(**wanted).order_by("run_id")
    return [run.run_id for run in runs]


def test_attributes_are_those_of_the_last_delivery(every: World) -> None:
    run_id = tagged.trigger()

    every.deliver()
    paid = every.run_of(run_id).attributes
    run = every.finish(run_id)

    assert paid == {"phase": "paid", "order": 7, "gone": True}
    assert run.attributes == {"phase": "shipped", "order": 7}
    assert run.result == "shipped"


def test_they_cost_no_statement(world: World) -> None:
    @workflow
    def plain(ctx: WorkflowContext) -> None:
        if ctx.data:
            ctx.set(**ctx.data)
        ctx.step.run("one", str)

    counts = []
    for data in ({}, {"phase": "paid"}):
        plain.trigger(data)
        with CaptureQueriesContext(connection) as captured:
            world.deliver()
        counts.append(len(captured))

    assert counts == [3, 3]


VALUES: list[Any] = [
    "paid", "", 7, 1.5, True, False, date(2026, 1, 2), Decimal("9.90"),
    [1, "a"], {"a": {"b": None}}, 'quote " and \\ and é',
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_runs_are_found_by_each_kind_of_value(
    world: World, value: Any
) -> None:
    @workflow
    def set_it(ctx: WorkflowContext) -> None:
        ctx.set(**{"a key": ctx.data["value"], "exact": "x", "a__gt": 1})

    mine = world.finish(set_it.trigger({"value": value}, run_id="mine"))
    other = {"value": "other"}
    world.finish(set_it.trigger(other, run_id="other"))
    world.finish(tagged.trigger(run_id="third"))

    assert mine.status == "completed"
    assert found(**{"a key": value}) == ["mine"]
    assert found(**{"a key": value, "exact": "x"}) == ["mine"]
    assert found(**{"a key": value, "exact": "y"}) == []
    assert found(exact="x", a__gt=1) == ["mine", "other"]
    assert found(unknown=value) == []


def test_runs_are_found_by_a_row(world: World) -> None:
    ada = User.objects.create(username="ada")
    bob = User.objects.create(username="bob")

    @workflow
    def about(ctx: WorkflowContext) -> Any:
        ctx.set(user=ctx.data["user"])
        return ctx.attributes["user"] == ctx.data["user"]

    run = world.finish(about.trigger({"user": ada}))

    assert run.result is True
    assert found(user=ada) == [run.run_id]
    assert found(user=bob) == []


def test_a_list_is_found_as_a_whole(world: World) -> None:
    @workflow
    def listed(ctx: WorkflowContext) -> None:
        ctx.set(items=[1, 2])

    run_id = listed.trigger()
    world.finish(run_id)

    assert found(items=[1, 2]) == [run_id]
    assert found(items=[1]) == found(items=1) == []


@pytest.mark.postgresql
def test_they_are_found_by_an_index(world: World) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
    try:
        plan = WorkflowRun.objects.with_attributes(phase="paid").order_by()
        assert "hookflow_attributes" in plan.explain()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET enable_seqscan")


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"a": "x" * 5000}, "they take 5,020 bytes and 4,096 are allowed"),
        ({"a": "é" * 2048}, "they take 4,116 bytes and 4,096 are allowed"),
        ({"a": {"b": ["x\0"]}}, "there is a NUL character or half a surroga"),
        ({"a\0": 1}, "there is a NUL character or half a surrogate pair"),
        ({"a": "\ud800"}, "there is a NUL character or half a surrogate"),
        ({"a": object()}, "['a'] cannot be recorded: builtins.object is not"),
    ],
)
def test_what_does_not_fit_fails_the_run(
    every: World, attributes: dict[str, Any], problem: str
) -> None:
    @workflow
    def wrong(ctx: WorkflowContext) -> None:
        ctx.set(fine=1)
        ctx.set(**attributes)

    run = every.finish(wrong.trigger())

    assert (run.status, run.error_type) == ("failed", "SerializationError")
    assert f"The attributes of run {run.run_id!r}" in run.error_message
    assert problem in run.error_message
    assert run.attributes == {"fine": 1}


def test_a_step_cannot_set_them(world: World) -> None:
    @workflow
    def inside(ctx: WorkflowContext) -> None:
        ctx.step.run("one", lambda: ctx.set(phase="lost"))

    run = world.finish(inside.trigger())

    assert run.error_message.startswith(
        "Step 'one' was tried once and failed: MisusedStep: Step 'ctx.set' "
        "stands inside step 'one'."
    )
    assert run.attributes == {}


def test_a_retried_letter_keeps_them(every: World) -> None:
    broken = [True]

    @workflow
    def failing(ctx: WorkflowContext) -> None:
        if broken:
            ctx.set(phase="failing")
            raise PermanentError("not yet")
        ctx.set(second=2)

    every.finish(failing.trigger())
    broken.clear()
    run = every.finish(DeadLetterEntry.objects.get().replay())

    assert run.attributes == {"phase": "failing", "second": 2}
