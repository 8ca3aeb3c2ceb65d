"""Options of steps, given more than once."""

from __future__ import annotations

from django.db import transaction

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.testing.world import World


def test_a_second_options_keeps_the_first(every: World) -> None:
    chosen: list[bool] = []

    @workflow
    def choosing(ctx: WorkflowContext) -> None:
        rows = ctx.step.options(atomic=True)
        step = rows.options(retry=RetryPolicy(retries=1))
        step.run("in", lambda: chosen.append(_in_transaction()))

    every.finish(choosing.trigger())

    assert chosen == [True]


def _in_transaction() -> bool:
    return transaction.get_connection().in_atomic_block
