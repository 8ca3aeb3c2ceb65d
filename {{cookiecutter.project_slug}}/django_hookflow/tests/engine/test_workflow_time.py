"""The time that a workflow sees."""

from __future__ import annotations

from datetime import datetime

import pytest

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.testing.world import World
from django_hookflow.workflows import registry


@pytest.mark.promise("time", "context")
def test_the_time_of_a_workflow_never_goes_back(every: World) -> None:
    times: list[datetime] = []

    def before(ctx: WorkflowContext) -> None:
        ctx.step.run("a", int)
        ctx.step.sleep("nap", 10)

    def after(ctx: WorkflowContext) -> None:
        ctx.step.run("new", int)
        times.append(ctx.now())
        ctx.step.run("a", int)
        times.append(ctx.now())

    run_id = workflow(workflow_id="deployed")(before).trigger()
    every.deliver()
    registry.unregister("deployed")
    workflow(workflow_id="deployed")(after)
    run = every.finish(run_id)

    assert run.status == "completed"
    assert len(times) >= 2
    assert times == sorted(times)
