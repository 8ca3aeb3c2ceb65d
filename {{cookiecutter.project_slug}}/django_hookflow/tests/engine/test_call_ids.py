"""Ids of calls that are not ASCII."""

from __future__ import annotations

from typing import Any

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.testing.world import World


def test_a_call_takes_ids_that_are_not_ascii(every: World) -> None:
    @workflow
    def calling(ctx: WorkflowContext) -> Any:
        return ctx.step.call("prüfen", "http://127.0.0.1:1/")

    run = every.finish(calling.trigger(run_id="für-ada"))

    assert "Connection refused" in run.error_message
