"""Runs that a workflow starts, and does not wait for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.maintenance import sweep
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World


@workflow(workflow_id="post-card", input=dict[str, int])
def mail(ctx: WorkflowContext) -> Any:
    return [ctx.data, ctx.owner]


def starting(ctx: WorkflowContext) -> Any:
    return ctx.start_workflow("post-card")


@contextmanager
def fail_to_append() -> Iterator[None]:
    """Kill the worker when it writes an entry of the journal."""

    def kill(execute: Any, statement: str, *args: Any) -> Any:
        if "INTO django_hookflow_stepexecution" in statement:
            raise Died
        return execute(statement, *args)

    with connection.execute_wrapper(kill):
        yield


@pytest.fixture(params=["post-card", mail], ids=["by name", "by function"])
def other(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.promise("start")
def test_it_starts_a_run_once(every: World, other: Any) -> None:
    ada = User.objects.create(username="ada")

    @workflow
    def shop(ctx: WorkflowContext) -> Any:
        one = ctx.start_workflow(other, {"n": 1})
        ctx.step.sleep("rest", 60)
        two = ctx.start_workflow(
            other, {"n": 2}, step_id="second", delay="1h", about=ada
        )
        return [one, two]

    run = every.finish(shop.trigger(owner="team"))

    one, two = map(every.run_of, run.result)
    assert (one.result, two.result) == ([{"n": 1}, "team"], [{"n": 2}, "team"])
    assert (one.parent, one.depth, two.subject) == (
        None,
        0,
        f"auth.user:{ada.pk}",
    )
    assert two.started_at > run.completed_at
    steps = run.step_executions.values_list("step_id", "kind")
    assert list(steps) == [
        ("start post-card", "run"),
        ("rest", "sleep"),
        ("second", "run"),
    ]
    assert WorkflowRun.objects.count() == 3


def test_the_run_and_its_record_commit_together(world: World) -> None:
    shop = workflow(starting)
    run_id = shop.trigger()
    with fail_to_append(), pytest.raises(Died):
        world.deliver()
    assert WorkflowRun.objects.count() == 1

    world.advance("10m")
    assert sweep() == 1
    run = world.finish(run_id)

    assert (
        run.result == WorkflowRun.objects.get(workflow_id="post-card").run_id
    )


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("post-card", {"n": "x"}, "InvalidData"),
        ("postcard", {}, "WorkflowNotFound"),
    ],
)
def test_what_cannot_start_fails_the_step_at_once(
    every: World, name: str, data: Any, error: str
) -> None:
    @workflow
    def wrong(ctx: WorkflowContext) -> None:
        ctx.start_workflow(name, data)

    run = every.finish(wrong.trigger())

    assert (run.status, run.error_type) == ("failed", error)
    assert run.step_executions.get().attempts == 1
    assert WorkflowRun.objects.count() == 1


def test_a_run_that_has_started_outlives_its_starter(every: World) -> None:
    @workflow
    def waiting(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("go", "go")

    @workflow
    def starter(ctx: WorkflowContext) -> Any:
        return ctx.start_workflow(waiting)

    run = every.finish(starter.trigger())

    assert run.status == "completed"
    assert every.run_of(run.result).status == "waiting"
