"""Steps that close the connection under the engine."""

from __future__ import annotations

from django.db import connection

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from tests.world import World


def test_a_step_may_close_the_connection(every: World) -> None:
    @workflow
    def closing(ctx: WorkflowContext) -> int:
        for n in range(3):
            ctx.step.run(f"before-{n}", str)
            ctx.step.run(f"close-{n}", connection.close)
        return 3

    run = every.finish(closing.trigger())

    assert (run.status, run.deliveries) == ("completed", 1)
    assert run.step_executions.count() == 6
