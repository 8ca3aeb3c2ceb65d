"""Rollbacks of runs whose children have completed: theirs are undone too."""

from __future__ import annotations

from typing import Any

import pytest

from django_hookflow import Compensation
from django_hookflow import WorkflowContext
from django_hookflow import WorkflowExecutor
from django_hookflow import cancel_run
from django_hookflow import retry_run
from django_hookflow import send_event
from django_hookflow import waive_undo
from django_hookflow import workflow
from django_hookflow.exceptions import MisusedStep
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import StepNotFound
from django_hookflow.inspection.runs import explain
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.maintenance import sweep
from django_hookflow.testing.world import World
from django_hookflow.tests.engine.doing import DONE
from django_hookflow.tests.engine.doing import note
from django_hookflow.tests.engine.doing import refuse
from django_hookflow.tests.engine.doing import undo


@workflow(workflow_id="undone-booking")
def booking(ctx: WorkflowContext) -> str:
    what = ctx.data["what"]
    ctx.step.options(compensate=undo).run("book", note, what)
    return f"booked {what}"


@workflow(workflow_id="undone-looking")
def looking(ctx: WorkflowContext) -> None:
    ctx.step.run("look", note, "look")


@workflow(workflow_id="undone-journey")
def journey(ctx: WorkflowContext) -> None:
    ctx.step.invoke("hotel", booking, {"what": "hotel"})
    ctx.step.options(compensate=undo).run("train", note, "train")


def fail() -> None:
    raise PermanentError("no money")


def children_of(run: WorkflowRun, step_id: str) -> list[WorkflowRun]:
    found = WorkflowRun.objects.filter(parent=run, parent_step=step_id)
    return list(found.order_by("branch"))


@pytest.mark.promise("undo-children")
def test_a_completed_child_is_undone_in_its_turn(every: World) -> None:
    @workflow
    def travelling(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=undo).run("visa", note, "visa")
        ctx.step.invoke("hotel", booking, {"what": "hotel"})
        ctx.step.options(compensate=undo).run("train", note, "train")
        ctx.step.run("pay", fail)

    run = every.finish(travelling.trigger())

    assert DONE[:3] == ["visa", "hotel", "train"]
    assert DONE[3:] == ["undo train", "undo hotel", "undo visa"]
    assert (run.status, run.error_type) == ("compensated", "PermanentError")
    (child,) = children_of(run, "hotel")
    (back,) = children_of(run, "hotel~undo")
    # What has ended does not change: another run has undone it.
    assert (child.status, child.result) == ("completed", "booked hotel")
    assert (back.status, back.origin_id) == ("compensated", child.pk)
    assert back.error_message == f"run {run.run_id} was rolled back"
    steps = dict(run.step_executions.values_list("step_id", "status"))
    assert (steps["hotel"], steps["hotel~undo"]) == (
        "compensated",
        "completed",
    )
    assert not DeadLetterEntry.objects.exists()


def test_children_of_children_are_undone(every: World) -> None:
    @workflow
    def travelling(ctx: WorkflowContext) -> None:
        ctx.step.invoke("journey", journey)
        fail()

    run = every.finish(travelling.trigger())

    assert run.status == "compensated"
    assert DONE == ["hotel", "train", "undo train", "undo hotel"]


def test_a_child_without_anything_to_undo_is_left_alone(every: World) -> None:
    @workflow
    def travelling(ctx: WorkflowContext) -> None:
        ctx.step.invoke("look", looking)
        ctx.step.map("see", lambda n: ctx.step.run("see", note, n), [1])
        fail()

    run = every.finish(travelling.trigger())

    assert (run.status, DONE) == ("failed", ["look", 1])
    assert WorkflowRun.objects.count() == 3


@pytest.mark.promise("undo-children")
def test_branches_that_completed_are_undone_a_few_at_a_time(
    every: World,
) -> None:
    @workflow
    def travelling(ctx: WorkflowContext) -> None:
        def book(number: int) -> None:
            # What only the function can tell is asked on the way to it.
            ctx.step.options(compensate=lambda n: note(-n)).run(
                "book", note, number
            )

        ctx.step.map("book", book, range(1, 26))
        fail()

    run = every.finish(travelling.trigger())

    assert run.status == "compensated"
    assert sorted(DONE) == [*range(-25, 0), *range(1, 26)]
    begun = children_of(run, "book~undo")
    assert {one.status for one in begun} == {"compensated"}
    assert len({one.created_at for one in begun}) <= 3
    assert len(begun) == 25


def test_a_fan_out_that_failed_undoes_what_its_others_did(
    every: World,
) -> None:
    @workflow
    def travelling(ctx: WorkflowContext) -> None:
        def book(what: str) -> None:
            if what == "boat":
                ctx.step.sleep("wait", 60)
                fail()
            ctx.step.options(compensate=undo).run("book", note, what)

        ctx.step.map("book", book, ["hotel", "boat"])

    run = every.finish(travelling.trigger())

    assert (run.status, DONE) == ("compensated", ["hotel", "undo hotel"])
    assert run.error_message.startswith("Step 'book' was tried once")


def test_a_run_that_is_cancelled_undoes_what_branches_have_completed(
    every: World,
) -> None:
    @workflow
    def travelling(ctx: WorkflowContext) -> None:
        def book(what: str) -> None:
            ctx.step.options(compensate=undo).run("book", note, what)
            if what == "boat":
                ctx.step.wait_for_event("wait", "never")

        ctx.step.map("book", book, ["hotel", "boat"])

    run_id = travelling.trigger()
    every.deliver()

    cancel_run(run_id)

    run = every.finish(run_id)
    assert run.status == "compensated"
    assert sorted(DONE) == ["boat", "hotel", "undo boat", "undo hotel"]
    step = run.step_executions.get(step_id="book")
    assert step.status == "compensated"


def test_a_deadline_undoes_what_branches_have_completed(every: World) -> None:
    @workflow(timeout="1h")
    def travelling(ctx: WorkflowContext) -> None:
        def book(what: str) -> None:
            ctx.step.options(compensate=undo).run("book", note, what)
            if what == "boat":
                ctx.step.sleep("wait", "1d")

        ctx.step.map("book", book, ["hotel", "boat"])

    run = every.finish(travelling.trigger())

    assert (run.status, run.error_type) == ("compensated", "RunTimeout")
    assert sorted(DONE) == ["boat", "hotel", "undo boat", "undo hotel"]


def test_a_child_that_returns_while_it_is_cancelled_undoes_its_steps(
    every: World,
) -> None:
    run_ids: list[str] = []

    def book() -> str:
        cancel_run(run_ids[0])
        return note("hotel")

    @workflow
    def child(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=undo).run("book", book)

    @workflow
    def travelling(ctx: WorkflowContext) -> None:
        ctx.step.invoke("child", child)

    run_ids.append(travelling.trigger())
    run = every.finish(run_ids[0])

    assert (run.status, DONE) == ("cancelled", ["hotel", "undo hotel"])
    assert [one.status for one in children_of(run, "child")] == ["compensated"]


@pytest.mark.parametrize("steps", [1, 2])
def test_an_undo_of_a_child_that_fails_can_be_retried(
    every: World, steps: int
) -> None:
    is_open = [False]

    def release(result: str) -> None:
        if not is_open[0]:
            refuse(result)
        note(f"undo {result}")

    @workflow
    def child(ctx: WorkflowContext) -> None:
        for number in range(steps):
            name = f"{ctx.data['what']}-{number}"
            how = release if number == 0 else undo
            ctx.step.options(compensate=Compensation(how)).run(
                name, note, name
            )

    @workflow
    def travelling(ctx: WorkflowContext) -> None:
        ctx.step.invoke("hotel", child, {"what": "hotel"})
        ctx.step.invoke("train", booking, {"what": "train"})
        fail()

    failed = every.finish(travelling.trigger())
    assert (failed.status, failed.error_type) == (
        "failed",
        "CompensationFailed",
    )
    assert "hotel-0 is closed" in failed.error_message
    is_open[0] = True
    DONE.clear()

    run = every.finish(retry_run(failed.run_id))

    # What was undone is not undone again.
    assert (run.status, DONE) == ("compensated", ["undo hotel-0"])
    (first,) = children_of(failed, "hotel~undo")
    (second,) = children_of(run, "hotel~undo")
    assert second.origin_id == first.pk


def test_an_undo_that_waits_for_runs_is_not_to_be_waived(every: World) -> None:
    @workflow
    def child(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=Compensation(interrupted)).run(
            "book", note, "book"
        )

    def interrupted(result: Any) -> None:
        raise ConnectionError("down")

    @workflow
    def travelling(ctx: WorkflowContext) -> None:
        ctx.step.invoke("hotel", child)
        fail()

    run_id = travelling.trigger()
    every.deliver()
    (back,) = children_of(every.run_of(run_id), "hotel~undo")
    WorkflowExecutor().resume(run_id)  # it looks, and waits on
    every.deliver()

    why = str(explain(every.run_of(run_id)))
    assert why.startswith(
        f"It waits in step hotel~undo for run {back.run_id}, which is "
        "compensating."
    )
    with pytest.raises(StepNotFound):
        waive_undo(run_id, "hotel", reason="closed for good")
    waive_undo(back.run_id, "book", reason="closed for good")

    assert every.finish(run_id).status == "compensated"


def test_a_join_of_undos_that_was_lost_is_made_up_for(world: World) -> None:
    @workflow
    def travelling(ctx: WorkflowContext) -> None:
        ctx.step.invoke("hotel", booking, {"what": "hotel"})
        ctx.step.wait_for_event("go", "go")
        fail()

    run_id = travelling.trigger()
    world.deliver()
    send_event("go", run_id=run_id)
    # Of the messages that follow, one after the other is lost.
    for _ in range(20):
        world.transport.reset()
        world.advance("1h")
        sweep()
        world.deliver()

    assert world.run_of(run_id).status == "compensated"
    assert DONE == ["hotel", "undo hotel"]


@pytest.mark.parametrize("kind", ["invoke", "map"])
def test_a_name_without_room_for_that_of_its_undo_is_refused(
    every: World, kind: str
) -> None:
    name = "x" * 251

    @workflow
    def travelling(ctx: WorkflowContext) -> None:
        if kind == "map":
            ctx.step.map(name, note, [1])
        ctx.step.invoke(name, looking)

    run = every.finish(travelling.trigger())

    assert (run.status, run.error_type) == ("failed", MisusedStep.__name__)
    assert "Use at most 250 where it" in run.error_message
