"""`manage.py hookflow_doctor`: why a run does not move."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError
from django.core.management import call_command

from django_hookflow import Compensation
from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import cancel_run
from django_hookflow import pause_run
from django_hookflow import retry_run
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.models import AuditEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World
from django_hookflow.workflows import registry


def said(run_id: str = "run") -> str:
    stream = io.StringIO()
    call_command("hookflow_doctor", run_id, stdout=stream)
    text = stream.getvalue()
    assert text.startswith(f"{run_id}: ")
    return text.removeprefix(f"{run_id}: ").strip()


def die() -> None:
    raise Died


def refuse(*_: Any) -> None:
    raise ConnectionError("down")


def started(
    world: World, function: Callable[[WorkflowContext], Any], **how: Any
) -> None:
    @workflow(workflow_id="flow")
    def flow(ctx: WorkflowContext) -> Any:
        return function(ctx)

    flow.trigger(run_id="run", **how)
    world.deliver()


def wait(ctx: WorkflowContext) -> Any:
    return ctx.step.wait_for_event("word", "go", ctx.data.get("limit"))


def test_a_run_that_waits_for_an_event(world: World) -> None:
    started(world, wait)
    assert said() == (
        "It waits in step word for the event go. To move it: manage.py "
        "hookflow_runs send-event go --run run"
    )


def test_a_run_that_waits_for_a_match_with_a_time_limit(world: World) -> None:
    started(
        world,
        lambda ctx: ctx.step.wait_for_event("word", "go", "1d", match="m 1"),
    )
    assert said() == (
        "It waits in step word for the event go with m 1 until 2026-01-02 "
        "00:00:00 UTC. To move it: manage.py hookflow_runs send-event go "
        "--match 'm 1'"
    )


def test_a_run_that_sleeps(world: World) -> None:
    started(world, lambda ctx: ctx.step.sleep("nap", "1d"))
    assert said() == "It waits in step nap until 2026-01-02 00:00:00 UTC."


def test_a_run_that_has_not_begun(world: World) -> None:
    started(world, wait, delay="1d")
    assert said() == "It waits until 2026-01-02 00:00:00 UTC."


def test_a_run_that_tries_again(world: World) -> None:
    slow = RetryPolicy(delay=3600)

    def failing(ctx: WorkflowContext) -> None:
        ctx.step.options(retry=slow).run("call", refuse)

    started(world, failing)
    assert said().startswith("It waits in step call until 2026-01-01 ")
    assert said().endswith(", to try again after ConnectionError: down.")


def test_a_run_whose_message_is_due(world: World) -> None:
    started(world, lambda ctx: ctx.step.sleep("nap", "1d"))
    world.advance("2d")
    assert said() == (
        "Its message was due at 2026-01-02 00:00:00 UTC and is on its way, "
        "or was lost. To move it: manage.py hookflow_sweep --now"
    )


def test_a_run_whose_worker_has_it_and_then_died(world: World) -> None:
    def dying(ctx: WorkflowContext) -> None:
        pause_run("run")
        die()

    with pytest.raises(Died):
        started(world, dying)
    assert said() == (
        "A worker has it since 2026-01-01 00:00:00 UTC, and records the step "
        "under way when that ends. It is to pause then."
    )
    world.advance("1h")
    assert said().startswith("Its worker has died, or cannot write: its lea")
    assert said().endswith("To move it: manage.py hookflow_sweep --now")


def test_a_run_whose_code_is_gone(world: World) -> None:
    @workflow
    def gone(ctx: WorkflowContext) -> None: ...

    gone.trigger(run_id="run")
    registry.unregister("gone")
    world.deliver()
    assert said().startswith("Its code is not deployed: No workflow is regis")


def test_a_paused_run(world: World) -> None:
    started(world, wait)
    pause_run("run", by="ada", reason="the bank is closed")
    move = "To move it: manage.py hookflow_runs resume run"
    assert said() == (
        f"It is paused by ada, because: the bank is closed. {move}"
    )
    AuditEntry.objects.all().delete()
    assert said() == f"It is paused. {move}"


def test_a_run_that_has_ended(world: World) -> None:
    started(world, wait)
    cancel_run("run")
    assert said() == "It is cancelled since 2026-01-01 00:00:00 UTC."


def test_a_run_that_has_failed_and_was_retried(world: World) -> None:
    def failing(ctx: WorkflowContext) -> None:
        raise PermanentError("no")

    started(world, failing)
    assert said() == (
        "It has failed: PermanentError: no. To move it: manage.py "
        "hookflow_runs retry run"
    )
    again = retry_run("run")
    assert said().endswith(
        f"It goes on as {again}. To move it: manage.py hookflow_doctor {again}"
    )


def test_a_run_and_its_child(world: World) -> None:
    @workflow
    def child(ctx: WorkflowContext) -> None:
        ctx.step.wait_for_event("word", "go", timeout="1d")
        raise PermanentError("no")

    def parent(ctx: WorkflowContext) -> Any:
        return ctx.step.options(optional=True).invoke("ask", child)

    started(world, parent)
    below = WorkflowRun.objects.get(parent__run_id="run")
    assert said() == (
        f"It waits in step ask for run {below.run_id}, which is waiting. "
        f"To move it: manage.py hookflow_doctor {below.run_id}"
    )
    world.finish("run")
    assert said(below.run_id).endswith(
        "It is a part of run run. To move it: manage.py hookflow_runs show run"
    )


def test_a_run_whose_child_was_deleted(world: World) -> None:
    @workflow
    def child(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", "1d")

    started(world, lambda ctx: ctx.step.invoke("ask", child))
    WorkflowRun.objects.get(parent__run_id="run").delete()
    assert said() == (
        "It waits in step ask for a run that was deleted. To move it: "
        "manage.py hookflow_sweep --waiting"
    )


def test_a_rollback_that_waits_for_an_undo(world: World) -> None:
    slow = Compensation(refuse, retry=RetryPolicy(delay=3600))

    def saga(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=slow).run("pay", str)
        wait(ctx)

    started(world, saga)
    cancel_run("run")
    world.deliver()
    assert said().startswith("It waits in step pay~undo until 2026-01-01 ")
    assert said().endswith("down. A person may waive it: waive_undo.")


def test_a_run_that_does_not_exist() -> None:
    with pytest.raises(CommandError, match="No run has the id 'run'"):
        said()


def test_a_run_waits_for_branches_and_those_for_their_turn(
    world: World,
) -> None:
    @workflow
    def sharing(ctx: WorkflowContext) -> None:
        def share(_: int) -> None:
            raise ConnectionError

        step = ctx.step.options(retry=RetryPolicy(retries=9, delay=3600))
        step.map("share", share, range(3), max_parallel=1)

    run_id = sharing.trigger()
    world.deliver()
    run = world.run_of(run_id)
    first, second, _ = run.children.order_by("branch")

    assert said(run_id).startswith(
        "It waits in step share for 3 of 3 branches; the first is run "
        f"{first.run_id}, which is waiting."
    )
    assert said(second.run_id) == "It begins when another branch lets it."
