"""Durations and steps, as a view of a project reads them."""

from __future__ import annotations

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World


def test_a_run_has_a_duration_when_its_step_is_recorded(
    every: World,
) -> None:
    @workflow
    def sleeper(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", 60)

    run_id = sleeper.trigger()
    every.deliver()
    assert every.run_of(run_id).step_executions.get().duration is None

    step = every.finish(run_id).step_executions.get()
    assert step.duration is not None
    assert step.duration.total_seconds() == 60
    assert (str(step), str(step.workflow_run)) == (
        "nap",
        f"sleeper {run_id}",
    )


def test_a_view_shows_the_steps_of_a_run_that_still_waits(
    every: World,
) -> None:
    @workflow
    def sleeper(ctx: WorkflowContext) -> None:
        ctx.step.run("before", str)
        ctx.step.sleep("nap", 60)

    run_id = sleeper.trigger()
    every.deliver()

    run = WorkflowRun.objects.prefetch_related("step_executions").get(
        run_id=run_id
    )
    steps = [
        {
            "step_id": step.step_id,
            "status": step.status,
            "executed_at": step.executed_at.isoformat(),
        }
        for step in run.step_executions.all()
    ]

    assert steps == [
        {
            "step_id": "before",
            "status": "completed",
            "executed_at": "2026-01-01T00:00:00+00:00",
        },
        {
            "step_id": "nap",
            "status": "waiting",
            "executed_at": "2026-01-01T00:00:00+00:00",
        },
    ]
