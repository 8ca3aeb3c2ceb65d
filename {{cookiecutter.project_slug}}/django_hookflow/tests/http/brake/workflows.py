"""A workflow that writes a row at each execution of a step."""

from __future__ import annotations

from django.db import connection
from django.utils import timezone

from django_hookflow import WorkflowContext
from django_hookflow import workflow

STEPS = 6
LEDGER = "CREATE TABLE ledger (run_id text, step_id text, at text)"


@workflow
def ledger(ctx: WorkflowContext) -> int:
    """Write a row in each of its steps, in every other one atomically."""
    for number in range(STEPS):
        step = ctx.step.options(atomic=number % 2 == 0)
        step.run(f"step-{number}", write, ctx.run_id, f"step-{number}")
        if number == STEPS // 2:
            ctx.step.sleep("nap", 0.5)
    return STEPS


def write(run_id: str, step_id: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger VALUES (%s, %s, %s)",
            [run_id, step_id, timezone.now().isoformat()],
        )
