"""`@workflow(timeout=…)`: runs that must end in time."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import WorkflowError
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.operations import maintenance
from django_hookflow.testing.world import EPOCH
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.memory import post
from django_hookflow.workflows import registry
from django_hookflow.workflows.registry import get_workflow
from django_hookflow.workflows.wrapper import WorkflowWrapper

DAY = timedelta(days=1)


@workflow(workflow_id="answered")
def answered(ctx: WorkflowContext) -> Any:
    return ctx.step.wait_for_event("answer", "answer")


def polls(ctx: WorkflowContext) -> None:
    ctx.step.until("look", lambda: False, every="7h")


def fails(ctx: WorkflowContext) -> None:
    def fail() -> None:
        raise ConnectionError("away")

    policy = RetryPolicy(retries=100, delay=7 * 3600, factor=1)
    ctx.step.options(retry=policy).run("try", fail)


WAITS = {
    "sleep": lambda ctx: ctx.step.sleep("rest", "30d"),
    "event": lambda ctx: ctx.step.wait_for_event("wait", "never"),
    "event with a timeout": lambda ctx: ctx.step.wait_for_event(
        "wait", "never", timeout="30d"
    ),
    "child": lambda ctx: ctx.step.invoke("ask", answered),
    "polls": polls,
    "retries": fails,
}


def timed(waits: Any, timeout: Any = "24h") -> WorkflowWrapper:
    @workflow(workflow_id="timed", timeout=timeout)
    def timed(ctx: WorkflowContext) -> Any:
        ctx.step.run("begin", lambda: None)
        return waits(ctx)

    return timed


@pytest.mark.parametrize("kind", WAITS)
@pytest.mark.promise("timeout")
def test_a_run_that_waits_fails_at_its_deadline(
    every: World, kind: str
) -> None:
    run_id = timed(WAITS[kind]).trigger()

    every.pass_time(DAY - timedelta(seconds=1))
    waiting = every.run_of(run_id)
    assert (waiting.status, waiting.deadline_at) == ("waiting", EPOCH + DAY)
    assert waiting.wake_at == EPOCH + DAY
    run = every.finish(run_id)

    assert (run.status, run.completed_at) == ("failed", EPOCH + DAY)
    assert (run.error_type, run.error_step) == ("RunTimeout", "")
    assert run.error_message == (
        "The run had not ended at 2026-01-02 00:00:00 UTC, when the timeout "
        "of its workflow was over. Replay its dead letter, which has as long "
        "again, or give the workflow a longer timeout."
    )
    letter = DeadLetterEntry.objects.get()
    assert (letter.run_id, letter.error_type) == (run_id, "RunTimeout")
    children = WorkflowRun.objects.filter(parent=run)
    assert {child.status for child in children} <= {"cancelled"}
    assert children.exists() is (kind == "child")


def test_a_run_that_is_in_time_is_not_touched(every: World) -> None:
    run_id = timed(WAITS["event"]).trigger()

    every.pass_time("23h")
    assert send_event("never", 7, run_id=run_id)
    run = every.finish(run_id)

    assert (run.status, run.result) == ("completed", 7)


def test_an_invoked_run_that_ends_in_time_wakes_its_parent(
    every: World,
) -> None:
    run_id = timed(WAITS["child"]).trigger()
    every.pass_time("23h")
    child = WorkflowRun.objects.get(workflow_id="answered")

    assert send_event("answer", "yes", run_id=child.run_id)
    every.deliver()

    run = every.run_of(run_id)
    assert (run.status, run.result) == ("completed", "yes")
    assert WorkflowRun.objects.get(pk=child.pk).sweep_at is None


def test_an_invoked_run_fails_of_its_own_timeout(every: World) -> None:
    child = timed(WAITS["event"])

    @workflow
    def parent(ctx: WorkflowContext) -> Any:
        try:
            return ctx.step.invoke("ask", child)
        except WorkflowError as error:
            return error.error_type

    run = every.finish(parent.trigger())

    assert (run.result, run.completed_at) == ("RunTimeout", EPOCH + DAY)
    assert run.deadline_at is None


def test_an_end_without_a_message_is_found_by_the_sweeper(
    world: World,
) -> None:
    run_id = timed(WAITS["event"]).trigger()
    world.deliver()
    memory_transport().reset()

    world.advance("25h")
    assert maintenance.sweep() == 1
    world.deliver()

    assert world.run_of(run_id).error_type == "RunTimeout"


def test_a_message_that_comes_early_ends_nothing(every: World) -> None:
    run_id = timed(WAITS["event"]).trigger()
    every.deliver()
    (message,) = memory_transport().waiting

    every.advance("23h")
    post(message.delivery)

    assert every.run_of(run_id).status == "waiting"
    run = every.finish(run_id)
    assert (run.error_type, run.completed_at) == ("RunTimeout", EPOCH + DAY)


def test_a_step_that_has_begun_may_end_and_no_other_begins(
    every: World,
) -> None:
    begun: list[str] = []

    def last(ctx: WorkflowContext) -> None:
        def work(name: str) -> None:
            begun.append(name)
            every.advance("25h")

        ctx.step.run("long", work, "long")
        ctx.step.run("next", work, "next")

    run = every.finish(timed(last).trigger())

    assert (begun, run.error_type) == (["long"], "RunTimeout")
    steps = run.step_executions.values_list("step_id", "status")
    assert list(steps) == [("begin", "completed"), ("long", "completed")]


def test_a_run_whose_worker_died_ends_at_its_next_delivery(
    world: World,
) -> None:
    def die(ctx: WorkflowContext) -> None:
        ctx.step.run("die", perish)

    def perish() -> None:
        raise Died

    run_id = timed(die).trigger()
    with pytest.raises(Died):
        world.deliver()

    world.advance("24h")
    maintenance.sweep()
    world.deliver()

    assert world.run_of(run_id).error_type == "RunTimeout"


def test_the_delay_does_not_count(every: World) -> None:
    run_id = timed(WAITS["event"]).trigger(delay="7d")

    run = every.finish(run_id)

    assert run.completed_at == EPOCH + timedelta(days=8)


def test_a_deadline_beyond_all_time_is_its_end(world: World) -> None:
    run_id = timed(WAITS["event"], "20000d").trigger(delay="2900000d")

    deadline = world.run_of(run_id).deadline_at
    assert deadline == datetime.max.replace(tzinfo=UTC)


def test_a_retried_letter_has_as_long_as_the_code_gives_it_now(
    every: World,
) -> None:
    timed(WAITS["event"]).trigger()
    every.pass_time("2d")
    registry.unregister("timed")
    timed(WAITS["event"], timeout="7d")

    retried = DeadLetterEntry.objects.get().replay()

    deadline = every.run_of(retried).deadline_at
    assert deadline == EPOCH + timedelta(days=9)
    assert every.finish(retried).completed_at == deadline


def test_a_letter_whose_version_is_gone_is_kept(world: World) -> None:
    timed(WAITS["event"]).trigger()
    world.pass_time("2d")
    registry.unregister("timed")

    @workflow(workflow_id="timed", version=2)
    def newer(ctx: WorkflowContext) -> None: ...

    with pytest.raises(WorkflowNotFound, match="has no version 1 here"):
        DeadLetterEntry.objects.get().replay()

    assert not DeadLetterEntry.objects.get().is_replayed
    assert WorkflowRun.objects.count() == 1


def test_code_that_waits_for_another_event_is_noticed_before_the_deadline(
    world: World,
) -> None:
    run_id = timed(lambda ctx: ctx.step.wait_for_event("old", "old")).trigger()
    world.deliver()
    registry.unregister("timed")
    timed(lambda ctx: ctx.step.wait_for_event("new", "new"))
    send_event("new", "heard", run_id=run_id)

    world.advance("1h")
    assert maintenance.look_again_at_all() == 1
    world.deliver()

    assert world.run_of(run_id).result == "heard"


def test_without_a_timeout_a_run_may_last_for_years(every: World) -> None:
    def slow(ctx: WorkflowContext) -> None:
        ctx.step.sleep("rest", "1000d")

    run = every.finish(timed(slow, timeout=None).trigger(), within="1001d")

    assert (run.status, run.deadline_at) == ("completed", None)
    assert get_workflow("timed").info.timeout is None


@pytest.mark.parametrize("timeout", ["24h", 86_400, DAY, "23h60m"])
@pytest.mark.promise("timeout")
def test_a_timeout_is_written_in_many_ways(timeout: Any) -> None:
    assert timed(WAITS["event"], timeout=timeout).info.timeout == DAY


@pytest.mark.parametrize(
    "timeout", ["soon", 0, -5, "0s", 0.5, float("nan"), "9000000d", [], ""]
)
def test_a_timeout_that_is_no_duration_is_refused(timeout: Any) -> None:
    with pytest.raises(ValueError, match="expected 1 seconds"):
        timed(WAITS["event"], timeout=timeout)
