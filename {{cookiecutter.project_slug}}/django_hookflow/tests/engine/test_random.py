"""`ctx.random()` and `ctx.uuid4()`: chance that a replay repeats."""

from __future__ import annotations

from typing import Any

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.models import DeadLetterEntry
from django_hookflow.testing.world import World


def test_each_replay_draws_the_same(every: World) -> None:
    drawn: list[list[Any]] = []

    @workflow
    def drawing(ctx: WorkflowContext) -> None:
        found = [
            str(ctx.uuid4()),
            ctx.random().random(),
            ctx.random().random(),
        ]
        ctx.step.sleep("nap", 60)
        found.append(str(ctx.uuid4()))
        ctx.step.sleep("rest", 60)
        drawn.append(found)

    for _ in range(2):
        every.finish(drawing.trigger())

    first, *_, last = (tuple(found) for found in drawn)
    passes = [tuple(found) for found in drawn]
    assert len(set(passes)) == 2  # one for each run
    assert len({*first, *last}) == 8  # and no number twice


def test_a_retried_letter_draws_the_same(every: World) -> None:
    drawn: list[str] = []
    broken = [True]

    @workflow
    def drawing(ctx: WorkflowContext) -> None:
        ctx.step.run("first", str)
        drawn.append(str(ctx.uuid4()))
        if broken[0]:
            ctx.step.run("fail", lambda: 1 / 0)

    every.finish(drawing.trigger())
    broken[0] = False
    every.finish(DeadLetterEntry.objects.get().replay())

    assert len(set(drawn)) == 1
    assert len(drawn) == 2
