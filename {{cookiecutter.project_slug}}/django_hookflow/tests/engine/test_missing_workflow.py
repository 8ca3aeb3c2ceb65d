"""Runs whose workflow is not in the code any more."""

from __future__ import annotations

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.testing.world import World
from django_hookflow.workflows import registry


def test_a_run_whose_code_is_gone_says_so(every: World) -> None:
    @workflow
    def gone(ctx: WorkflowContext) -> None: ...

    run_id = gone.trigger()
    registry.unregister("gone")
    every.pass_time("2d")

    assert "No workflow is registered as 'gone'" in (
        every.run_of(run_id).error_message
    )
