"""`ctx.run_compensation()`: a function that undoes its own steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from django_hookflow import Compensation
from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import cancel_run
from django_hookflow import retry_run
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import CompensationFailed
from django_hookflow.exceptions import PermanentError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World
from django_hookflow.tests.engine.doing import DONE
from django_hookflow.tests.engine.doing import note
from django_hookflow.tests.engine.doing import refuse
from django_hookflow.tests.engine.doing import undo


def saga(ctx: WorkflowContext, *steps: str) -> None:
    for step in steps:
        ctx.step.options(compensate=undo).run(step, note, step)


def statuses(run: WorkflowRun) -> dict[str, str]:
    return dict(run.step_executions.values_list("step_id", "status"))


@pytest.mark.promise("run-compensation")
def test_a_function_undoes_its_steps_and_goes_on(every: World) -> None:
    @workflow
    def booking(ctx: WorkflowContext) -> Any:
        saga(ctx, "hotel", "train")
        undone = ctx.run_compensation()
        saga(ctx, "bus")
        ctx.step.sleep("wait", "1h")
        return [undone, ctx.step.run("last", lambda: "done")]

    run = every.finish(booking.trigger())

    assert DONE == ["hotel", "train", "undo train", "undo hotel", "bus"]
    assert (run.status, run.result) == (
        "completed",
        [["train", "hotel"], "done"],
    )
    assert statuses(run) == {
        "hotel": "compensated",
        "train": "compensated",
        "train~undo": "completed",
        "hotel~undo": "completed",
        "bus": "completed",
        "wait": "completed",
        "last": "completed",
    }


def test_time_and_random_numbers_are_the_same_behind_it(every: World) -> None:
    seen: list[tuple[datetime, float]] = []

    @workflow
    def booking(ctx: WorkflowContext) -> None:
        saga(ctx, "hotel")
        every.advance("1m")
        ctx.run_compensation()
        seen.append((ctx.now(), ctx.random().random()))
        ctx.step.sleep("wait", "1h")

    every.finish(booking.trigger())

    assert len(seen) > 1
    assert len(set(seen)) == 1


def test_a_function_that_fails_behind_it_is_compensated(every: World) -> None:
    @workflow
    def booking(ctx: WorkflowContext) -> None:
        saga(ctx, "hotel")
        ctx.run_compensation()
        raise PermanentError("no money")

    run = every.finish(booking.trigger())

    assert (run.status, run.error_message) == ("compensated", "no money")
    assert DONE == ["hotel", "undo hotel"]
    assert not DeadLetterEntry.objects.exists()


def test_a_run_that_is_cancelled_behind_it_is_compensated(
    every: World,
) -> None:
    @workflow
    def booking(ctx: WorkflowContext) -> None:
        saga(ctx, "hotel")
        ctx.run_compensation()
        ctx.step.wait_for_event("wait", "never")

    run_id = booking.trigger()
    every.deliver()
    cancel_run(run_id)

    assert every.finish(run_id).status == "compensated"
    assert DONE == ["hotel", "undo hotel"]


def test_an_undo_is_tried_again_meanwhile(every: World) -> None:
    failures = [ConnectionError("down")]

    def release(result: Any) -> None:
        if failures:
            raise failures.pop()
        undo(result)

    @workflow
    def booking(ctx: WorkflowContext) -> str:
        step = ctx.step.options(
            compensate=Compensation(release, retry=RetryPolicy(delay=60))
        )
        step.run("hotel", note, "hotel")
        ctx.run_compensation()
        return str(ctx.step.wait_for_event("go", "go"))

    run_id = booking.trigger()
    every.deliver()
    assert every.run_of(run_id).status == "waiting"
    every.pass_time("1m")
    send_event("go", "on", run_id=run_id)

    run = every.finish(run_id)
    assert (run.status, run.result) == ("completed", "on")
    assert DONE == ["hotel", "undo hotel"]


def test_one_that_cannot_be_undone_is_an_error_of_the_run(
    every: World,
) -> None:
    is_open: list[bool] = []

    def release(result: Any) -> None:
        (undo if is_open else refuse)(result)

    @workflow
    def booking(ctx: WorkflowContext) -> None:
        saga(ctx, "hotel")
        ctx.step.options(compensate=release).run("train", note, "train")
        try:
            ctx.run_compensation()
        except CompensationFailed as error:
            assert "'train'" in str(error)
            raise

    failed = every.finish(booking.trigger())
    assert (failed.status, failed.error_type) == (
        "failed",
        "CompensationFailed",
    )
    assert DONE == ["hotel", "train", "tried train", "undo hotel"]
    assert failed.error_message == (
        "Not undone: 'train': Step 'train~undo' was tried once and failed: "
        "PermanentError: train is closed. Undone: 'hotel'. It was rolled back "
        "because its function asked for it. Fix the cause and retry the dead "
        "letter: it goes on with the rollback."
    )
    is_open.append(True)
    DONE.clear()

    run = every.finish(retry_run(failed.run_id))

    assert (run.status, DONE) == ("compensated", ["undo train"])


def test_a_child_is_undone_in_it(every: World) -> None:
    @workflow
    def child(ctx: WorkflowContext) -> None:
        saga(ctx, "hotel")

    @workflow
    def booking(ctx: WorkflowContext) -> list[str]:
        ctx.step.invoke("child", child)
        return ctx.run_compensation()

    run = every.finish(booking.trigger())

    assert (run.status, run.result) == ("completed", ["child"])
    assert DONE == ["hotel", "undo hotel"]
