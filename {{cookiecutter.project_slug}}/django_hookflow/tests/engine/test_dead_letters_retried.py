"""Dead letters that are retried: what starts, and from which step."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command

from django_hookflow import WorkflowContext
from django_hookflow import signals
from django_hookflow import workflow
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.operations import maintenance
from django_hookflow.testing.world import World


def test_a_run_id_used_again_after_a_cleanup_can_fail_again(
    every: World,
) -> None:
    @workflow
    def failing(ctx: WorkflowContext) -> None:
        raise ValueError("no")

    every.finish(failing.trigger(run_id="order-1"))
    every.advance("31d")
    call_command("cleanup_workflows")
    failing.trigger(run_id="order-1")
    for _ in range(10):
        maintenance.sweep()
        every.pass_time("1d")

    assert every.run_of("order-1").status == "failed"


def test_a_replay_tries_a_step_again_whose_error_was_raised_as_another(
    every: World,
) -> None:
    is_well: list[bool] = []

    def pay() -> None:
        if not is_well:
            raise ValueError("no")

    @workflow
    def paying(ctx: WorkflowContext) -> None:
        try:
            ctx.step.run("pay", pay)
        except WorkflowError as error:
            raise LookupError("not paid") from error

    every.finish(paying.trigger())
    is_well.append(True)
    run = every.finish(DeadLetterEntry.objects.get().replay())

    assert run.status == "completed"


def test_a_replayed_run_has_not_been_under_way_for_negative_time(
    every: World,
) -> None:
    is_well: list[bool] = []

    @workflow
    def measuring(ctx: WorkflowContext) -> float:
        ctx.step.run("a", int)
        if not is_well:
            raise ValueError("no")
        return ctx.elapsed().total_seconds()

    every.finish(measuring.trigger())
    is_well.append(True)
    run = every.finish(DeadLetterEntry.objects.get().replay())

    assert run.result >= 0


def test_a_replay_is_told_like_a_trigger(every: World) -> None:
    told: list[str] = []

    def listen(run_id: str, **_: Any) -> None:
        told.append(run_id)

    @workflow
    def failing(ctx: WorkflowContext) -> None:
        raise ValueError("no")

    signals.run_triggered.connect(listen)
    try:
        first = failing.trigger()
        every.finish(first)
        second = DeadLetterEntry.objects.get().replay()
    finally:
        signals.run_triggered.disconnect(listen)

    assert told == [first, second]
