"""The entries of steps in transactions, and their positions."""

from __future__ import annotations

from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.testing.world import World


def test_a_transaction_around_steps_does_not_lose_their_entries(
    every: World,
) -> None:
    calls: list[int] = []

    @workflow
    def wrapped(ctx: WorkflowContext) -> None:
        with transaction.atomic():
            ctx.step.run("once", calls.append, 1)
            ctx.step.sleep("nap", 10)

    every.finish(wrapped.trigger())

    assert calls == []


def test_the_position_of_a_step_tried_again_is_its_own(every: World) -> None:
    is_well: list[bool] = []

    def pay() -> None:
        if not is_well:
            raise ValueError("no")

    @workflow
    def paying(ctx: WorkflowContext) -> None:
        ctx.step.run("reserve", int)
        try:
            ctx.step.run("pay", pay)
        except WorkflowError:
            ctx.step.run("release", int)
            raise

    every.finish(paying.trigger())
    is_well.append(True)
    run = every.finish(DeadLetterEntry.objects.get().replay())

    positions = list(run.step_executions.values_list("position", flat=True))
    assert len(set(positions)) == len(positions)
