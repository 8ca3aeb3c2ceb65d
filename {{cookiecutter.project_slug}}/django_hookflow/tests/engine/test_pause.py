"""Runs that rest until they are resumed."""

from __future__ import annotations

from typing import Any

import pytest

from django_hookflow import WorkflowContext
from django_hookflow import cancel_run
from django_hookflow import pause_run
from django_hookflow import resume_run
from django_hookflow import send_event
from django_hookflow import signals
from django_hookflow import workflow
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import RunNotOpen
from django_hookflow.exceptions import RunNotPaused
from django_hookflow.journal import Failure
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.maintenance import look_again
from django_hookflow.operations.maintenance import sweep
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.runs import Claim
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World
from django_hookflow.tests.engine.doing import DONE
from django_hookflow.tests.engine.doing import note
from django_hookflow.tests.engine.doing import undo
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.memory import post
from django_hookflow.workflows import registry
from django_hookflow.workflows.registry import get_workflow


def napping() -> str:
    """Trigger a run that sleeps for a day between two steps."""

    @workflow
    def napping(ctx: WorkflowContext) -> str:
        ctx.step.run("before", note, "before")
        ctx.step.sleep("nap", "1d")
        return ctx.step.run("after", note, "after")

    return napping.trigger()


def steering(*operations: Any) -> str:
    """Trigger a run whose first step lets operations act on it."""

    @workflow
    def steered(ctx: WorkflowContext) -> str:
        def steer() -> None:
            note("steer")
            for operation in operations:
                operation(ctx.run_id)

        ctx.step.options(compensate=undo).run("first", steer)
        return ctx.step.run("second", note, "second")

    return steered.trigger()


def test_a_waiting_run_rests_until_it_is_resumed(every: World) -> None:
    run_id = napping()
    every.deliver()
    due = every.run_of(run_id).wake_at
    pause_run(run_id)
    pause_run(run_id)  # once more changes nothing
    paused = every.run_of(run_id)

    assert (paused.status, paused.requested) == ("paused", "pause")
    assert (paused.wake_at, paused.sweep_at) == (due, None)
    assert every.finish(run_id, "30d").status == "paused"
    assert sweep() == 0

    resume_run(run_id)
    assert every.run_of(run_id).wake_at == every.now
    run = every.finish(run_id, "1m")

    assert (run.status, run.requested) == ("completed", "")
    assert (run.result, DONE) == ("after", ["before", "after"])


def test_a_sleep_that_is_not_over_at_the_resume_ends_when_it_would_have(
    every: World,
) -> None:
    run_id = napping()
    every.deliver()
    due = every.run_of(run_id).wake_at
    pause_run(run_id)
    every.advance("1h")
    resume_run(run_id)
    waiting = every.run_of(run_id)

    assert (waiting.status, waiting.wake_at) == ("waiting", due)
    run = every.finish(run_id, "1d")
    assert (run.status, run.completed_at) == ("completed", due)


def test_no_message_can_claim_a_paused_run(world: World) -> None:
    run_id = napping()
    first = memory_transport().waiting[0].delivery
    pause_run(run_id)
    paused = world.run_of(run_id)
    for token in (first.token, paused.wake_token):
        answer = post(WorkflowPersistence.delivery_for(paused, token))
        assert b"stale" in answer.getvalue()

    assert (world.run_of(run_id).status, DONE) == ("paused", [])


def test_a_run_that_has_not_begun_keeps_its_delay(every: World) -> None:
    @workflow
    def delayed(ctx: WorkflowContext) -> str:
        return ctx.started_at.isoformat()

    run_id = delayed.trigger(delay="7d")
    pause_run(run_id)
    every.advance("1d")
    resume_run(run_id)

    assert every.run_of(run_id).status == "pending"
    assert every.finish(run_id).result == "2026-01-08T00:00:00+00:00"


@pytest.mark.parametrize("match", [None, "7"])
def test_an_event_that_comes_meanwhile_is_there_at_the_resume(
    every: World, match: str | None
) -> None:
    @workflow
    def waiting(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("wait", "paid", "7d", match=match)

    run_id = waiting.trigger()
    every.deliver()
    pause_run(run_id)
    to = {"match": match} if match else {"run_id": run_id}
    send_event("paid", "money", **to)

    assert every.finish(run_id, "1d").status == "paused"
    resume_run(run_id)
    assert every.finish(run_id, "1m").result == "money"


def test_the_time_limit_of_a_wait_runs_on(every: World) -> None:
    @workflow
    def waiting(ctx: WorkflowContext) -> str:
        try:
            ctx.step.wait_for_event("wait", "paid", timeout="1d")
        except EventTimeout:
            return "late"
        return "paid"

    run_id = waiting.trigger()
    every.deliver()
    pause_run(run_id)
    every.advance("2d")
    resume_run(run_id)

    assert every.finish(run_id, "1m").result == "late"


def test_the_timeout_of_a_run_runs_on(every: World) -> None:
    @workflow(timeout="1d")
    def waiting(ctx: WorkflowContext) -> None:
        ctx.step.wait_for_event("wait", "paid")

    run_id = waiting.trigger()
    every.deliver()
    pause_run(run_id)

    assert every.finish(run_id, "2d").status == "paused"
    resume_run(run_id)
    assert every.finish(run_id, "1m").error_type == "RunTimeout"


def test_an_event_for_a_run_that_pauses_goes_to_another(world: World) -> None:
    @workflow
    def waiting(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("wait", "paid", match="7")

    first, second = waiting.trigger(), waiting.trigger()
    world.deliver()
    send_event("paid", "money", match="7")
    pause_run(first)

    assert world.run_of(first).status == "paused"
    assert world.finish(second).result == "money"
    resume_run(first)
    assert world.finish(first).status == "waiting"


def test_a_run_at_work_pauses_when_its_step_is_recorded(every: World) -> None:
    run_id = steering(pause_run, pause_run)
    run = every.finish(run_id)

    assert (run.status, run.requested, DONE) == ("paused", "pause", ["steer"])
    assert run.step_executions.get().status == "completed"
    resume_run(run_id)
    assert every.finish(run_id).result == "second"


def test_a_run_that_goes_to_sleep_while_it_pauses_keeps_its_time(
    every: World,
) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> None:
        if "paused" not in DONE:
            pause_run(ctx.run_id)
            note("paused")
        ctx.step.sleep("nap", "1d")

    run_id = working.trigger()
    every.deliver()
    due = every.run_of(run_id).wake_at
    run = every.finish(run_id)

    assert run.status == "paused"
    assert due is not None
    assert run.wake_at == due
    resume_run(run_id)
    assert every.finish(run_id, "1m").status == "completed"


def test_an_event_for_a_run_that_pauses_at_its_wait_goes_to_another(
    world: World,
) -> None:
    """It comes while the first is at work, so it does not wake the second."""

    @workflow
    def waiting(ctx: WorkflowContext) -> Any:
        try:
            return ctx.step.wait_for_event("wait", "paid", match="7")
        finally:
            if note(ctx.run_id) == "first" and len(DONE) == 3:
                pause_run("first")
                send_event("paid", "money", match="7")

    waiting.trigger(run_id="first")
    world.deliver()
    world.advance("1m")
    waiting.trigger(run_id="second")
    world.deliver()
    look_again(1, world.now)
    world.deliver()

    assert DONE == ["first", "second", "first", "second"]
    assert world.run_of("first").status == "paused"
    assert world.run_of("second").result == "money"


def test_a_run_that_ends_while_it_pauses_has_ended(every: World) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> str:
        pause_run(ctx.run_id)
        return "done"

    run = every.finish(working.trigger())

    assert (run.status, run.requested) == ("completed", "pause")
    with pytest.raises(RunNotPaused, match="is completed, so there is noth"):
        resume_run(run.run_id)


def test_a_run_that_fails_while_it_pauses_is_rolled_back(
    every: World,
) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=undo).run("first", note, "first")
        pause_run(ctx.run_id)
        raise PermanentError("no")

    run = every.finish(working.trigger())

    assert (run.status, DONE) == ("compensated", ["first", "undo first"])


def test_resumed_before_its_worker_noticed_it_goes_on(every: World) -> None:
    run = every.finish(steering(pause_run, resume_run))

    assert (run.status, run.requested) == ("completed", "")
    assert (run.deliveries, DONE) == (1, ["steer", "second"])


def test_a_verdict_does_not_pause_a_run_that_is_resumed(
    every: World,
) -> None:
    """The worker has learned of the pause, and not of the resume."""

    @workflow
    def working(ctx: WorkflowContext) -> None:
        pause_run(ctx.run_id)
        ctx.step.run("first", note, "first")

    run_id = working.trigger()

    def resume(**facts: Any) -> None:
        resume_run(run_id)

    signals.step_recorded.connect(resume)
    try:
        run = every.finish(run_id)
    finally:
        signals.step_recorded.disconnect(resume)

    assert (run.status, DONE) == ("completed", ["first"])


def test_the_last_of_many_requests_holds(every: World) -> None:
    many = [pause_run, resume_run] * 20
    run_id = steering(*many, pause_run)

    assert every.finish(run_id).status == "paused"
    resume_run(run_id)
    assert every.finish(run_id).status == "completed"


def test_cancelled_before_its_worker_noticed_the_pause(
    every: World,
) -> None:
    run = every.finish(steering(pause_run, cancel_run))

    assert (run.status, run.requested) == ("compensated", "cancel")
    assert DONE == ["steer", "undo None"]


def test_a_run_that_is_to_be_cancelled_is_not_paused(every: World) -> None:
    refused: list[str] = []

    def pause(run_id: str) -> None:
        with pytest.raises(RunNotOpen) as raised:
            pause_run(run_id)
        refused.append(str(raised.value))

    run = every.finish(steering(cancel_run, pause))

    assert run.status == "compensated"
    assert "is to be cancelled, so there is nothing to pause." in refused[0]


@pytest.mark.parametrize("undone", [True, False])
def test_a_paused_run_is_cancelled(every: World, *, undone: bool) -> None:
    @workflow
    def waiting(ctx: WorkflowContext) -> None:
        step = ctx.step.options(compensate=undo if undone else None)
        step.run("first", note, "first")
        ctx.step.sleep("nap", "1d")

    run_id = waiting.trigger()
    every.deliver()
    pause_run(run_id)
    cancel_run(run_id)
    run = every.finish(run_id)

    assert run.status == ("compensated" if undone else "cancelled")
    assert DONE[1:] == ["undo first"] * undone


def test_a_run_whose_worker_died_is_paused_at_once(every: World) -> None:
    @workflow
    def dying(ctx: WorkflowContext) -> None:
        note("began")
        if len(DONE) == 1:
            raise Died

    run_id = dying.trigger()
    with pytest.raises(Died):
        every.deliver()
    every.advance("1h")
    pause_run(run_id)
    assert every.finish(run_id).status == "paused"
    resume_run(run_id)

    assert every.finish(run_id).status == "completed"


def test_a_worker_that_dies_asked_leaves_a_run_that_pauses(
    every: World,
) -> None:
    @workflow
    def dying(ctx: WorkflowContext) -> None:
        note("began")
        if len(DONE) == 1:
            pause_run(ctx.run_id)
            raise Died

    run_id = dying.trigger()
    with pytest.raises(Died):
        every.deliver()
    every.advance("1h")
    sweep()
    run = every.finish(run_id)

    assert (run.status, DONE) == ("paused", ["began"])
    resume_run(run_id)
    assert every.finish(run_id).status == "completed"


def test_a_run_that_is_parked_while_it_is_asked_goes_on_when_resumed(
    world: World,
) -> None:
    run_id = steering(pause_run)
    code = get_workflow("steered")
    delivery = memory_transport().waiting.pop().delivery
    claimed = WorkflowPersistence.claim(delivery, "f" * 32)
    pause_run(run_id)
    registry.unregister("steered")
    assert isinstance(claimed, Claim)
    WorkflowPersistence.park(claimed.run, Failure(type="Gone", message="it"))
    parked = world.run_of(run_id)

    assert (parked.status, parked.requested) == ("waiting", "pause")
    resume_run(run_id)
    resumed = world.run_of(run_id)
    assert (resumed.requested, resumed.lease_token) == ("", "")
    registry.register(code)
    world.advance("1h")
    sweep()
    assert world.finish(run_id).status == "paused"  # by its own step


def parents() -> str:
    @workflow
    def child(ctx: WorkflowContext) -> str:
        ctx.step.sleep("nap", "1d")
        return ctx.step.run("child", note, "child")

    @workflow
    def parent(ctx: WorkflowContext) -> Any:
        if ctx.data.get("pauses") and not DONE:
            note("paused")
            pause_run(ctx.run_id)
        return ctx.step.invoke("invoke", child)

    return parent.workflow_id


def test_the_children_of_a_paused_run_rest_with_it(every: World) -> None:
    run_id = get_workflow(parents()).trigger()
    every.deliver()
    pause_run(run_id)
    every.finish(run_id)

    assert {r.status for r in WorkflowRun.objects.all()} == {"paused"}
    assert DONE == []
    resume_run(run_id)
    assert every.finish(run_id).result == "child"


def test_a_child_that_ends_while_its_parent_rests_is_found(
    every: World,
) -> None:
    run_id = get_workflow(parents()).trigger()
    every.deliver()
    pause_run(run_id)
    child = WorkflowRun.objects.get(parent__run_id=run_id)
    resume_run(child.run_id)
    child = every.finish(child.run_id)

    assert (child.status, child.sweep_at) == ("completed", None)
    assert every.run_of(run_id).status == "paused"
    resume_run(run_id)
    assert every.finish(run_id).result == "child"


def test_a_run_that_pauses_before_it_invokes_begins_no_other(
    every: World,
) -> None:
    run_id = get_workflow(parents()).trigger(data={"pauses": True})
    every.finish(run_id)

    assert [r.status for r in WorkflowRun.objects.all()] == ["paused"]
    resume_run(run_id)
    assert every.finish(run_id).result == "child"


@pytest.mark.parametrize(
    ("operation", "status", "message"),
    [
        (
            pause_run,
            "compensating",
            "is compensating, so there is nothing to pause. Only pending, "
            "running and waiting runs can be.",
        ),
        (
            pause_run,
            "compensated",
            "is compensated, so there is nothing to pause. Only pending, ",
        ),
        (
            resume_run,
            "compensating",
            "is compensating, so there is nothing to resume. Only paused ",
        ),
        (
            cancel_run,
            "compensating",
            "is compensating, so there is nothing to cancel. Only paused, "
            "pending, running and waiting runs can be.",
        ),
    ],
)
def test_a_run_that_is_rolled_back_is_not_steered(
    world: World, operation: Any, status: str, message: str
) -> None:
    @workflow
    def waiting(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=undo).run("first", note, "first")
        ctx.step.sleep("nap", "1d")

    run_id = waiting.trigger()
    world.deliver()
    cancel_run(run_id)
    if status == "compensated":
        world.finish(run_id)

    with pytest.raises((RunNotOpen, RunNotPaused)) as raised:
        operation(run_id)

    assert message in str(raised.value)


@pytest.mark.parametrize("operation", [pause_run, resume_run])
def test_a_run_that_does_not_exist_is_not_steered(operation: Any) -> None:
    with pytest.raises(RunNotFound):
        operation("nothing")


def test_a_run_that_waits_is_not_resumed(world: World) -> None:
    run_id = napping()
    world.deliver()
    before = world.run_of(run_id)

    with pytest.raises(RunNotPaused, match="is waiting, so there is nothing"):
        resume_run(run_id)
    assert world.run_of(run_id).wake_token == before.wake_token
