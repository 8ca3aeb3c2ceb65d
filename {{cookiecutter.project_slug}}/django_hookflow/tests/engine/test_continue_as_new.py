"""Runs that end by going on as new ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import cancel_run
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import EventConflict
from django_hookflow.exceptions import PermanentError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Event
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.maintenance import erase
from django_hookflow.testing.world import World


@workflow(workflow_id="counting-on", timeout="1d")
def counting(ctx: WorkflowContext) -> Any:
    """Count to 3, a day of rest in each run."""
    n = ctx.data["n"]
    keys.append(ctx.step.run("count", lambda: ctx.idempotency_key("count")))
    ctx.set(**{f"after_{n}": True})
    ctx.step.sleep("rest", "20h")
    if n == 3:
        return "counted"
    ctx.continue_as_new({"n": n + 1})


keys: list[str] = []


@pytest.fixture(autouse=True)
def _no_keys() -> None:
    keys.clear()


def chain() -> list[WorkflowRun]:
    return list(WorkflowRun.objects.order_by("pk"))


def test_each_run_begins_where_the_last_has_ended(every: World) -> None:
    ada = User.objects.create(username="ada")
    first = counting.trigger({"n": 1}, owner="team", about=ada)

    every.finish(first)

    one, two, three = chain()
    assert [run.status for run in chain()] == ["completed"] * 3
    assert one.result == {"continued_as": two.run_id}
    assert (two.result, three.result) == (
        {"continued_as": three.run_id},
        "counted",
    )
    assert (one.origin, two.origin, three.origin) == (None, one, two)
    assert WorkflowRun.objects.current(first) == three
    assert {(run.owner, run.subject) for run in chain()} == {
        ("team", f"auth.user:{ada.pk}")
    }
    assert three.attributes == dict.fromkeys(
        ["after_1", "after_2", "after_3"], True
    )
    assert two.deadline_at == two.created_at + timedelta(days=1)
    assert len(set(keys)) == 3
    assert [run.messages for run in chain()] == [2, 2, 2]


def waiter(ctx: WorkflowContext) -> Any:
    """Take one event in each of two runs."""
    ctx.step.sleep("rest", 60)
    got = ctx.step.wait_for_event("wait", "paid")
    if "got" in ctx.data:
        return [ctx.data["got"], got]
    ctx.continue_as_new({"got": got})


def test_events_go_on_to_the_new_run(every: World) -> None:
    first = workflow(waiter).trigger()
    send_event("paid", 1, run_id=first, event_id="one")
    send_event("paid", 2, run_id=first, event_id="two")

    every.finish(first)

    run = WorkflowRun.objects.current(first)
    assert run is not None
    assert run.result == [1, 2]
    assert not Event.objects.filter(consumed_at=None).exists()


def test_an_event_to_an_old_id_finds_the_new_run(every: World) -> None:
    first = workflow(waiter).trigger()
    assert send_event("paid", 1, run_id=first, event_id="one")
    every.finish(first)

    assert not send_event("paid", 1, run_id=first, event_id="one")
    other = workflow(waiter).trigger()
    for address in ({"run_id": other}, {"match": first}):
        with pytest.raises(EventConflict):
            send_event("paid", 1, event_id="one", **address)  # type: ignore[arg-type]
    assert send_event("paid", 2, run_id=first, event_id="two")
    every.finish(first)

    run = WorkflowRun.objects.current(first)
    assert run is not None
    assert run.result == [1, 2]


@workflow(workflow_id="counting-parent")
def parent(ctx: WorkflowContext) -> Any:
    return ctx.step.invoke("child", counting, {"n": 1})


def test_a_parent_waits_for_the_last(every: World) -> None:
    run = every.finish(parent.trigger())

    assert (run.status, run.result) == ("completed", "counted")
    _, *children = chain()
    assert [(c.parent, c.parent_step, c.depth) for c in children] == [
        (None, "", 1),
        (None, "", 1),
        (run, "child", 1),
    ]
    assert run.messages == 2
    assert not WorkflowRun.objects.exclude(sweep_at=None).exists()


def test_cancelling_the_parent_cancels_the_last(every: World) -> None:
    run_id = parent.trigger()
    every.pass_time("21h")

    cancel_run(run_id)

    statuses = [run.status for run in chain()]
    assert statuses == ["cancelled", "completed", "cancelled"]


def test_a_retried_parent_goes_on_with_the_last(every: World) -> None:
    broken = [True]

    @workflow(workflow_id="fragile")
    def fragile(ctx: WorkflowContext) -> Any:
        n = ctx.step.run("count", lambda: keys.append("x") or ctx.data["n"])  # type: ignore[func-returns-value]
        if n == 2 and broken:
            raise PermanentError("not yet")
        if n == 2:
            return "done"
        ctx.continue_as_new({"n": 2})

    @workflow
    def caller(ctx: WorkflowContext) -> Any:
        return ctx.step.invoke("child", fragile, {"n": 1})

    every.finish(caller.trigger())
    broken.clear()
    run = every.finish(DeadLetterEntry.objects.get().replay())

    assert (run.result, keys) == ("done", ["x", "x"])


def test_a_continuation_of_a_parent_invokes_anew(every: World) -> None:
    @workflow(workflow_id="adding")
    def adding(ctx: WorkflowContext) -> Any:
        return ctx.step.run("add", lambda: len(keys.append("x") or keys))  # type: ignore[func-returns-value]

    @workflow
    def looping(ctx: WorkflowContext) -> Any:
        total = ctx.step.invoke("add", adding)
        if total == 2:
            return total
        ctx.continue_as_new()

    first = looping.trigger()
    every.finish(first)

    run = WorkflowRun.objects.current(first)
    assert run is not None
    assert run.result == 2


def test_a_run_that_is_cancelled_does_not_go_on(every: World) -> None:
    @workflow
    def stopped(ctx: WorkflowContext) -> None:
        ctx.step.run("stop", cancel_run, ctx.run_id)
        ctx.continue_as_new()

    @workflow
    def stopped_at_its_end(ctx: WorkflowContext) -> None:
        ctx.step.run("one", str)
        cancel_run(ctx.run_id)
        ctx.continue_as_new()

    for each in (stopped, stopped_at_its_end):
        assert every.finish(each.trigger()).status == "cancelled"
    assert len(chain()) == 2


def test_steps_to_undo_keep_a_run_from_going_on(every: World) -> None:
    undone: list[str] = []

    @workflow
    def saga(ctx: WorkflowContext) -> None:
        undo = ctx.step.options(compensate=undone.append)
        undo.run("charge", lambda: "charge")
        ctx.continue_as_new()

    run = every.finish(saga.trigger())

    assert (run.status, undone) == ("compensated", ["charge"])
    assert run.error_message == (
        "Step 'charge' is undone if the run fails, and the run was to "
        "continue as new. The new run could not undo it. Do the work of such "
        "steps in a workflow of its own, by ctx.step.invoke."
    )
    assert len(chain()) == 1


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("step", "Step 'ctx.continue_as_new' stands inside step 'one'"),
        ("transaction", "stands inside a transaction of the workflow"),
        ("open", "Step 'one' was begun and not ended when the function"),
        ("data", "The data of the run that continues"),
    ],
)
def test_where_a_run_cannot_end_it_says_so(
    world: World, how: str, said: str
) -> None:
    @workflow
    def misplaced(ctx: WorkflowContext) -> None:
        if how == "step":
            ctx.step.run("one", ctx.continue_as_new)
        if how == "transaction":
            with transaction.atomic():
                ctx.continue_as_new()
        if how == "open":
            ctx.record_step_start("one")
        ctx.continue_as_new([1])

    if how == "open":
        misplaced.function = lambda ctx: (
            ctx.record_step_start("one"),
            ctx.continue_as_new(),
        )
    run = world.finish(misplaced.trigger())

    assert run.status == "failed"
    assert said in run.error_message


def test_erasing_one_run_erases_those_that_continue_it(every: World) -> None:
    first = counting.trigger({"n": 1})
    other = counting.trigger({"n": 3})
    every.finish(first)

    erase(first, and_open=False, dry_run=False)

    assert [run.run_id for run in chain()] == [other]
