"""Errors of queries that a retry cannot cure."""

from __future__ import annotations

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World


def test_a_query_that_names_no_field_is_not_tried_again(every: World) -> None:
    @workflow
    def asking(ctx: WorkflowContext) -> None:
        ctx.step.run("ask", lambda: WorkflowRun.objects.filter(nothing=1))

    run = every.finish(asking.trigger())

    assert run.step_executions.get().attempts == 1
