"""Sagas: steps that are undone when their run fails or is cancelled."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection

from django_hookflow import Compensation
from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import cancel_run
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import RunNotOpen
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.maintenance import sweep
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World
from django_hookflow.tests.engine.doing import DONE
from django_hookflow.tests.engine.doing import note
from django_hookflow.tests.engine.doing import refuse
from django_hookflow.transports.memory import post
from django_hookflow.workflows import registry
from django_hookflow.workflows.registry import get_workflow


def undo(result: Any) -> None:
    note(f"undo {result}")


def fail(text: str = "no") -> None:
    raise PermanentError(text)


def saga(ctx: WorkflowContext, *steps: str) -> None:
    for step in steps:
        ctx.step.options(compensate=undo).run(step, note, step)


def statuses(run: WorkflowRun) -> dict[str, str]:
    steps = run.step_executions.order_by("position")
    return {step.step_id: step.status for step in steps}


@pytest.mark.promise("undo", "step-status", "run-status")
def test_completed_steps_are_undone_in_reverse_order(every: World) -> None:
    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        saga(ctx, "reserve", "charge")
        ctx.step.run("look", note, "look")
        ctx.step.run("ship", fail, "no van")

    run = every.finish(ordering.trigger())

    assert DONE == ["reserve", "charge", "look", "undo charge", "undo reserve"]
    assert (run.status, run.error_type, run.error_step) == (
        "compensated",
        "PermanentError",
        "ship",
    )
    assert statuses(run) == {
        "reserve": "compensated",
        "charge": "compensated",
        "look": "completed",
        "ship": "failed",
        "charge~undo": "completed",
        "reserve~undo": "completed",
    }
    # The failure is dealt with, so there is nothing to retry.
    assert not DeadLetterEntry.objects.exists()


def test_a_failure_without_anything_to_undo_is_a_failure(
    every: World,
) -> None:
    @workflow
    def failing(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=undo).run("fail", fail)

    run = every.finish(failing.trigger())

    assert (run.status, DONE) == ("failed", [])
    assert DeadLetterEntry.objects.count() == 1


def test_what_the_function_catches_is_not_rolled_back(every: World) -> None:
    @workflow
    def catching(ctx: WorkflowContext) -> str:
        saga(ctx, "reserve")
        with suppress(WorkflowError):
            ctx.step.run("fail", fail)
        ctx.step.options(optional=True).run("optional", fail)
        return "done"

    run = every.finish(catching.trigger())

    assert (run.status, DONE) == ("completed", ["reserve"])


def test_an_error_of_the_function_itself_rolls_back(every: World) -> None:
    @workflow
    def erring(ctx: WorkflowContext) -> None:
        saga(ctx, "reserve")
        raise ValueError("no sense")

    run = every.finish(erring.trigger())

    assert (run.status, run.error_message) == ("compensated", "no sense")
    assert DONE == ["reserve", "undo reserve"]


def test_an_undo_is_tried_again(every: World) -> None:
    failures = [ConnectionError("down"), ConnectionError("down")]

    def release(result: Any) -> str:
        if failures:
            raise failures.pop()
        return note(f"released {result}")

    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=release).run("reserve", note, "reserve")
        fail()

    run = every.finish(ordering.trigger())

    step = run.step_executions.get(step_id="reserve~undo")
    assert (run.status, step.attempts) == ("compensated", 3)
    assert (step.kind, step.result) == ("undo", "released reserve")
    assert run.error_message == "no"


@pytest.mark.promise("undo-fails")
def test_the_others_go_on_when_an_undo_fails_for_good(every: World) -> None:
    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        saga(ctx, "reserve")
        ctx.step.options(compensate=refuse).run("charge", note, "charge")
        saga(ctx, "print")
        fail("no van")

    run = every.finish(ordering.trigger())

    assert DONE[3:] == ["undo print", "tried charge", "undo reserve"]
    assert (run.status, run.error_type) == ("failed", "CompensationFailed")
    assert run.error_message == (
        "Not undone: 'charge': Step 'charge~undo' was tried once and failed: "
        "PermanentError: charge is closed. Undone: 'print', 'reserve'. It "
        "was rolled back because PermanentError: no van. Fix the cause and "
        "retry the dead letter: it goes on with the rollback."
    )
    assert statuses(run)["charge"] == "completed"


def test_the_letter_of_a_failed_rollback_goes_on_with_it(
    every: World,
) -> None:
    is_closed = [True]

    def refund(result: Any) -> None:
        if is_closed[0]:
            refuse(result)
        note(f"refund {result}")

    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        saga(ctx, "reserve")
        ctx.step.options(compensate=refund).run("charge", note, "charge")
        fail("no van")

    every.finish(ordering.trigger())
    is_closed[0] = False
    DONE.clear()
    run = every.finish(DeadLetterEntry.objects.get().replay())

    assert (run.status, DONE) == ("compensated", ["refund charge"])
    assert statuses(run)["charge"] == "compensated"
    assert "no van" in run.error_message


def test_a_step_that_may_have_happened_is_undone_if_wanted(
    every: World,
) -> None:
    both = Compensation(undo, when="attempted")

    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        saga(ctx, "reserve")
        ctx.step.options(compensate=both, optional=True).run("ask", fail)
        ctx.step.options(compensate=both).run("charge", fail, "timeout")

    run = every.finish(ordering.trigger())

    assert DONE == ["reserve", "undo None", "undo None", "undo reserve"]
    assert run.status == "compensated"
    assert statuses(run)["charge"] == "compensated"


def test_the_undo_of_an_attempt_that_never_ended_is_called(
    every: World,
) -> None:
    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        def charge() -> None:
            if "began" in DONE:
                cancel_run(ctx.run_id)
            note("began")
            raise Died

        attempted = Compensation(undo, when="attempted")
        ctx.step.options(compensate=attempted).run("charge", charge)

    run_id = ordering.trigger()
    with pytest.raises(Died):
        every.deliver()
    assert statuses(every.run_of(run_id)) == {"charge": "running"}
    every.advance("1h")
    cancel_run(run_id)
    run = every.finish(run_id)

    assert (run.status, DONE) == ("compensated", ["began", "undo None"])


def test_an_undo_may_commit_with_its_entry(every: World) -> None:
    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        atomic = Compensation(rows, atomic=True)
        ctx.step.options(compensate=atomic).run("reserve", note, "reserve")
        fail()

    def rows(_: Any) -> int:
        assert connection.in_atomic_block
        return StepExecution.objects.filter(status="completed").count()

    run = every.finish(ordering.trigger())

    assert run.step_executions.get(kind="undo").result == 1


def deploy(code: Callable[[WorkflowContext], Any]) -> str:
    """Make `code` the function of a workflow, and return its id."""

    @workflow
    def deployed(ctx: WorkflowContext) -> Any:
        return code(ctx)

    return deployed.workflow_id


def charging(undo: Any, *, breaks: bool = False) -> Any:
    def code(ctx: WorkflowContext) -> None:
        if breaks:
            raise KeyError("a bug of the deploy")
        ctx.step.options(compensate=undo).run("charge", note, "charge")
        ctx.step.wait_for_event("wait", "go")
        fail("no van")

    return code


def test_the_code_of_today_says_how_a_step_is_undone(world: World) -> None:
    deploy(charging(lambda result: note(f"old {result}")))
    run_id = get_workflow("deployed").trigger()
    world.deliver()
    deploy(charging(lambda result: note(f"new {result}")))
    send_event("go", run_id=run_id)
    run = world.finish(run_id)

    assert (run.status, DONE) == ("compensated", ["charge", "new charge"])


def test_a_function_that_is_broken_does_not_keep_its_steps_from_being_undone(
    world: World,
) -> None:
    deploy(charging(undo))
    run_id = get_workflow("deployed").trigger()
    world.deliver()
    deploy(charging(undo, breaks=True))
    cancel_run(run_id)
    run = world.finish(run_id)

    assert (run.status, DONE) == ("compensated", ["charge", "undo charge"])


@pytest.mark.promise("undo-crash")
def test_an_undo_that_the_code_has_no_more_is_waited_for(world: World) -> None:
    deploy(charging(lambda result: note("x")))
    run_id = get_workflow("deployed").trigger()
    world.deliver()
    deploy(lambda ctx: None)
    cancel_run(run_id)
    run = world.finish(run_id, "10d")
    waiting = run.step_executions.get(kind="undo")

    assert (run.status, waiting.status) == ("compensating", "waiting")
    assert (waiting.error_type, waiting.error_message) == (
        "UndoNotFound",
        "Step 'charge' was to be undone by its workflow function, which does "
        "not say how any more. Deploy code in which the step has its "
        "compensate= again; the rollback waits for it.",
    )
    assert waiting.wake_at is not None
    assert waiting.attempts == 1

    deploy(charging(undo))
    run = world.finish(run_id)

    assert (run.status, DONE) == ("compensated", ["charge", "undo charge"])


def test_an_undo_that_cannot_be_imported_any_more_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(charging(undo))
    run_id = get_workflow("deployed").trigger()
    world.deliver()
    monkeypatch.delattr(f"{__name__}.undo")
    deploy(lambda ctx: None)
    cancel_run(run_id)
    world.deliver()
    step = world.run_of(run_id).step_executions.get(kind="undo")

    assert f"was to be undone by '{__name__}:undo'" in step.error_message


@pytest.mark.promise("undo-crash")
def test_a_rollback_that_kills_its_workers_does_without_the_function(
    every: World,
) -> None:
    deploy(charging(undo))
    run_id = get_workflow("deployed").trigger()
    every.deliver()

    def dying(ctx: WorkflowContext) -> None:
        raise Died

    deploy(dying)
    cancel_run(run_id)
    with pytest.raises(Died):
        every.deliver()
    every.advance("1h")
    sweep()
    run = every.finish(run_id)

    assert (run.status, DONE) == ("compensated", ["charge", "undo charge"])


def test_an_undo_that_kills_its_workers_ends_the_rollback(
    every: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_MAX_CRASHES = 3

    def die(result: Any) -> None:
        raise Died

    deploy(charging(die))
    run_id = get_workflow("deployed").trigger()
    every.deliver()
    cancel_run(run_id)
    for _ in range(3):
        with pytest.raises(Died):
            every.deliver()
        every.advance("1h")
        sweep()
    run = every.finish(run_id)

    assert (run.status, run.error_type) == ("failed", "CompensationFailed")
    assert run.error_message.startswith(
        "Not undone: 'rollback': WorkerCrashed: 3 deliveries in a row died "
    )
    assert "because it was cancelled" in run.error_message


def test_a_rollback_whose_workflow_is_gone_waits_for_it(
    world: World,
) -> None:
    deploy(charging(undo))
    run_id = get_workflow("deployed").trigger()
    world.deliver()
    cancel_run(run_id)
    registry.unregister("deployed")
    world.deliver()
    parked = world.run_of(run_id)

    assert (parked.status, parked.error_type) == ("compensating", "")
    world.advance("2h")
    sweep()
    deploy(charging(undo))
    assert world.finish(run_id).status == "compensated"


def test_a_rollback_takes_more_than_one_delivery(
    every: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_DELIVERY_BUDGET = 0

    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        saga(ctx, "one", "two", "three")
        fail()

    run = every.finish(ordering.trigger())

    assert run.status == "compensated"
    assert DONE[3:] == ["undo three", "undo two", "undo one"]


def test_nothing_new_begins_in_a_rollback(every: World) -> None:
    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        saga(ctx, "reserve")
        if "undone" in DONE:
            ctx.step.run("new", note, "new")
        note("undone")
        ctx.step.wait_for_event("wait", "go")

    run_id = ordering.trigger()
    every.deliver()
    cancel_run(run_id)
    run = every.finish(run_id)

    assert run.status == "compensated"
    assert "new" not in DONE


def test_the_undo_has_a_key_of_its_own(every: World) -> None:
    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        def refund(_: Any) -> str:
            return ctx.idempotency_key("charge~undo")

        ctx.step.options(compensate=refund).run("charge", note, "charge")
        fail()

    run = every.finish(ordering.trigger(run_id="order-1"))

    step = run.step_executions.get(kind="undo")
    assert step.result == "order-1:charge~undo"


def test_a_failed_undo_is_passed_over_by_the_next_delivery(
    every: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_DELIVERY_BUDGET = 0

    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        saga(ctx, "reserve")
        ctx.step.options(compensate=refuse).run("charge", note, "charge")
        fail()

    run = every.finish(ordering.trigger())

    assert DONE[2:] == ["tried charge", "undo reserve"]
    assert run.rollback_failed


def test_an_undo_is_not_tried_again_early(world: World) -> None:
    failures = [ConnectionError("down")]

    def release(result: Any) -> None:
        if failures:
            raise failures.pop()
        note(f"released {result}")

    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        later = Compensation(release, retry=RetryPolicy(delay=3600))
        ctx.step.options(compensate=later).run("reserve", note, "reserve")
        fail()

    run_id = ordering.trigger()
    world.deliver()
    world.deliver()
    run = world.run_of(run_id)
    post(WorkflowPersistence.delivery_for(run, run.wake_token))

    assert (world.run_of(run_id).status, DONE) == ("compensating", ["reserve"])
    assert world.finish(run_id).status == "compensated"


def test_a_step_says_how_it_is_undone_one_after_another(
    every: World,
) -> None:
    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        ctx.step("one", note, "one").compensate(undo).timeout(30).run()
        attempted = ctx.step("two", fail, "card").compensate(
            undo, when="attempted"
        )
        attempted.compensate(Compensation(undo, when="attempted")).run()

    run = every.finish(ordering.trigger())

    assert (run.status, DONE) == (
        "compensated",
        ["one", "undo None", "undo one"],
    )


# Cancelling.


def test_a_waiting_run_is_cancelled_at_once(every: World) -> None:
    @workflow
    def waiting(ctx: WorkflowContext) -> None:
        ctx.step.run("look", note, "look")
        ctx.step.sleep("nap", "7d")

    run_id = waiting.trigger()
    bystander = waiting.trigger()
    every.deliver()
    cancel_run(run_id)
    run = every.run_of(run_id)

    assert (run.status, run.requested) == ("cancelled", "cancel")
    assert (run.completed_at, run.sweep_at) == (every.now, None)
    assert every.finish(bystander).status == "completed"
    assert every.run_of(run_id).status == "cancelled"


@pytest.mark.promise("cancel")
def test_a_cancelled_run_is_rolled_back(every: World) -> None:
    @workflow
    def waiting(ctx: WorkflowContext) -> None:
        saga(ctx, "reserve", "charge")
        ctx.step.wait_for_event("wait", "go")

    run_id = waiting.trigger()
    every.deliver()
    cancel_run(run_id)
    assert every.run_of(run_id).status == "compensating"
    run = every.finish(run_id)

    assert (run.status, run.requested) == ("compensated", "cancel")
    assert (run.error_type, run.error_message) == ("", "")
    assert DONE[2:] == ["undo charge", "undo reserve"]


def test_a_run_at_work_stops_when_its_step_is_recorded(every: World) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=undo).run("first", both, "first")
        ctx.step.run("second", note, "second")

    def both(what: str) -> str:
        cancel_run(run_id)
        cancel_run(run_id)  # once more changes nothing
        return note(what)

    run_id = working.trigger()
    run = every.finish(run_id)

    assert (run.status, DONE) == ("compensated", ["first", "undo first"])


def test_a_step_that_is_atomic_is_recorded_though_its_run_is_cancelled(
    world: World,
) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> None:
        step = ctx.step.options(compensate=undo, atomic=True)
        step.run("first", cancel_run, run_id)
        ctx.step.run("second", note, "second")

    run_id = working.trigger()
    run = world.finish(run_id)

    assert (run.status, DONE) == ("compensated", ["undo None"])


def test_a_run_that_waits_while_it_is_cancelled_stops(every: World) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> None:
        cancel_run(ctx.run_id)
        ctx.step.sleep("nap", "7d")

    assert every.finish(working.trigger()).status == "cancelled"


def test_a_run_that_returns_while_it_is_cancelled_is_completed(
    every: World,
) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> str:
        cancel_run(ctx.run_id)
        return "done"

    assert every.finish(working.trigger()).status == "completed"


def test_a_run_is_cancelled_before_it_begins(every: World) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> None:
        note("began")

    run_id = working.trigger()
    cancel_run(run_id)

    assert (every.finish(run_id).status, DONE) == ("cancelled", [])


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_run_that_has_ended_cannot_be_cancelled(
    world: World, status: str
) -> None:
    @workflow
    def ending(ctx: WorkflowContext) -> None:
        if ctx.data["status"] == "failed":
            fail()
        if ctx.data["status"] == "cancelled":
            cancel_run(ctx.run_id)
            ctx.step.sleep("nap", 1)

    run_id = ending.trigger(data={"status": status})
    assert world.finish(run_id).status == status

    with pytest.raises(RunNotOpen, match=f"is {status}, so there is nothing"):
        cancel_run(run_id)


def test_a_rollback_cannot_be_cancelled(world: World) -> None:
    @workflow
    def waiting(ctx: WorkflowContext) -> None:
        saga(ctx, "reserve")
        ctx.step.sleep("nap", "7d")

    run_id = waiting.trigger()
    world.deliver()
    cancel_run(run_id)

    with pytest.raises(RunNotOpen, match="is compensating"):
        cancel_run(run_id)


def test_a_run_that_does_not_exist_cannot_be_cancelled() -> None:
    with pytest.raises(RunNotFound):
        cancel_run("nothing")


def test_an_event_for_a_cancelled_run_goes_to_another(world: World) -> None:
    @workflow
    def waiting(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("wait", "paid", match="7")

    first, second = waiting.trigger(), waiting.trigger()
    world.deliver()
    send_event("paid", "money", match="7")
    cancel_run(first)

    assert world.run_of(first).status == "cancelled"
    assert world.finish(second).result == "money"


def test_the_parent_of_a_cancelled_run_learns_that(every: World) -> None:
    @workflow
    def child(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", "7d")

    @workflow
    def parent(ctx: WorkflowContext) -> str:
        try:
            ctx.step.invoke("child", child)
        except WorkflowError as error:
            return error.error_type
        return ""

    run_id = parent.trigger()
    every.deliver()
    cancel_run(WorkflowRun.objects.get(parent__run_id=run_id).run_id)

    assert every.finish(run_id).result == "RunCancelled"


def test_the_children_of_a_cancelled_run_are_cancelled(every: World) -> None:
    @workflow
    def child(ctx: WorkflowContext) -> None:
        saga(ctx, "child")
        ctx.step.sleep("nap", "7d")

    @workflow
    def parent(ctx: WorkflowContext) -> None:
        saga(ctx, "parent")
        ctx.step.invoke("child", child)

    run_id = parent.trigger()
    every.deliver()
    cancel_run(run_id)
    run = every.finish(run_id)
    below = WorkflowRun.objects.get(parent=run)

    assert (run.status, below.status) == ("compensated", "compensated")
    assert sorted(DONE[2:]) == ["undo child", "undo parent"]


# Bad input.


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (lambda: Compensation("undo"), TypeError, "Invalid compensation 'un"),
        (
            lambda: Compensation(undo, when="always"),
            ValueError,
            "Invalid when 'always', expected one of 'completed', 'attempted'",
        ),
        (lambda: Compensation(undo, retry=3), TypeError, "Invalid retry 3"),
    ],
)
def test_a_bad_compensation_is_refused_where_it_is_written(
    bad: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        bad()


@pytest.mark.parametrize(
    ("step_id", "message"),
    [
        ("x~undo", "Step 'x~undo' ends with '~undo'. The engine"),
        ("x" * 251, "has a name of 251 characters. Use at most 250"),
    ],
)
def test_a_name_that_an_undo_could_not_have_is_refused(
    world: World, step_id: str, message: str
) -> None:
    @workflow
    def naming(ctx: WorkflowContext) -> None:
        saga(ctx, step_id)

    run = world.finish(naming.trigger())

    assert (run.status, DONE) == ("failed", [])
    assert message in run.error_message


def test_a_sleep_cannot_be_undone(world: World) -> None:
    @workflow
    def sleeping(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=undo).sleep("nap", 1)

    run = world.finish(sleeping.trigger())

    assert "knows no option 'compensate'" in run.error_message
