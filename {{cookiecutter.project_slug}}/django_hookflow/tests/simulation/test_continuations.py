"""A worker dies at each statement of runs that continue as new ones."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.models import Event
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.maintenance import sweep
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport
from django_hookflow.workflows.registry import get_workflow

pytestmark = pytest.mark.usefixtures("transactional_db", "workflows")

ROUNDS = 2  # runs of a chain


class Killer:
    """Kills the worker before its statement number `at`."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0

    def __call__(self, execute: Any, *arguments: Any) -> Any:
        self.seen += 1
        if self.seen == self.at:
            raise Died
        return execute(*arguments)


def declare() -> None:
    @workflow(workflow_id="leaf")
    def leaf(ctx: WorkflowContext) -> Any:
        return ctx.data["n"]

    @workflow(workflow_id="chain")
    def chain(ctx: WorkflowContext) -> Any:
        n = ctx.data["n"]
        ctx.set(n=n)
        assert ctx.patched("new")
        step = ctx.step.options(atomic=True)
        step.run("row", lambda: Group.objects.create(name=row(ctx)).pk)
        ctx.start_workflow("leaf", {"n": n})
        if n < ROUNDS:
            ctx.continue_as_new({**ctx.data, "n": n + 1})
        if ctx.data["waits"]:
            return ctx.step.wait_for_event("paid", "paid")
        return "done"

    @workflow(workflow_id="above")
    def above(ctx: WorkflowContext) -> Any:
        return ctx.step.invoke("chain", chain, {"n": 1, "waits": False})


def row(ctx: WorkflowContext) -> str:
    return f"{ctx.data['waits']} {ctx.data['n']}"


def play(world: World, killer: Killer) -> None:
    """Let one worker die, and the sweeper make up for it."""
    first = get_workflow("chain").trigger({"n": 1, "waits": True})
    get_workflow("above").trigger()
    send_event("paid", 7, run_id=first)
    with connection.execute_wrapper(killer), suppress(Died):
        world.deliver()
    for _ in range(3):
        world.pass_time("1h")
        sweep()
    judge(first)


def judge(first: str) -> None:
    current = WorkflowRun.objects.current(first)
    above = WorkflowRun.objects.get(workflow_id="above")
    child = WorkflowRun.objects.get(parent=above)
    assert current is not None
    assert (current.result, above.result) == (7, "done")
    for last in (current, child):
        chain = [last]
        while chain[-1].origin is not None:
            chain.append(chain[-1].origin)
        assert [run.attributes for run in chain] == [{"n": 2}, {"n": 1}]
        assert [run.result for run in chain[1:]] == [
            {"continued_as": run.run_id} for run in chain[:-1]
        ]
    runs = WorkflowRun.objects.all()
    assert {run.status for run in runs} == {"completed"}
    assert {run.sweep_at for run in runs} == {None}
    leaves = [run.result for run in runs if run.workflow_id == "leaf"]
    assert sorted(leaves) == [1, 1, 2, 2]
    assert len(runs) == 2 * ROUNDS + len(leaves) + 1
    assert Group.objects.count() == 2 * ROUNDS
    assert not Event.objects.filter(consumed_at=None).exists()


def empty() -> None:
    for model in (WorkflowRun, Event, Group):
        model._default_manager.all().delete()
    memory_transport().reset()


@pytest.mark.slow
@pytest.mark.sqlite
def test_each_death_leaves_one_chain(world: World) -> None:
    declare()
    whole = Killer(0)
    play(world, whole)

    assert whole.seen > 50
    for at in range(1, whole.seen + 1):
        empty()
        play(world, Killer(at))
