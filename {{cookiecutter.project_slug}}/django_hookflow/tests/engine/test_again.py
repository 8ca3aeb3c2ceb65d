"""Runs that begin again: retried, forked, or without an undo."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from django_hookflow import WorkflowContext
from django_hookflow import fork_run
from django_hookflow import retry_run
from django_hookflow import send_event
from django_hookflow import waive_undo
from django_hookflow import workflow
from django_hookflow.exceptions import AlreadyReplayed
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RunBusy
from django_hookflow.exceptions import RunNotFailed
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import StepNotFound
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World
from django_hookflow.tests.engine.doing import DONE
from django_hookflow.tests.engine.doing import note
from django_hookflow.tests.engine.doing import refuse
from django_hookflow.tests.engine.doing import undo
from django_hookflow.workflows import registry


def paying(*, fails: bool = True) -> str:
    """Trigger a run whose second step fails the first time, if it is to."""
    failures = [PermanentError("no")] * fails

    def charge() -> str:
        if failures:
            raise failures.pop()
        return note("charge")

    @workflow
    def paying(ctx: WorkflowContext) -> dict[str, Any]:
        ctx.step.run("reserve", note, "reserve")
        ctx.step.run("charge", charge)
        ctx.step.run("ship", note, ctx.idempotency_key("ship"))
        return ctx.data

    return paying.trigger(data={"n": 1}, run_id="order", owner="7")


# Retries.


def test_a_failed_run_is_retried_from_its_failed_step(every: World) -> None:
    run_id = paying()
    assert every.finish(run_id).status == "failed"
    again = every.finish(retry_run(run_id))

    assert (again.status, again.root_id) == ("completed", run_id)
    assert again.origin == every.run_of(run_id)
    assert DONE == ["reserve", "charge", "order:ship"]
    assert DeadLetterEntry.objects.get().replayed_as == again.run_id
    with pytest.raises(AlreadyReplayed, match=again.run_id):
        retry_run(run_id)


def test_a_run_without_its_letter_says_how_it_was_retried(
    world: World,
) -> None:
    run_id = paying()
    world.finish(run_id)
    again = retry_run(run_id)
    DeadLetterEntry.objects.all().delete()

    with pytest.raises(AlreadyReplayed, match=again):
        retry_run(run_id)
    WorkflowRun.objects.filter(run_id=again).delete()
    with pytest.raises(AlreadyReplayed):
        retry_run(run_id)


def test_only_failed_runs_are_retried(world: World) -> None:
    run_id = paying(fails=False)
    world.finish(run_id)

    with pytest.raises(RunNotFailed) as raised:
        retry_run(run_id)
    assert str(raised.value) == (
        "Run 'order' is completed, so there is nothing to retry. Only failed "
        "runs can be; fork_run begins any run again from a step."
    )
    with pytest.raises(RunNotFound):
        retry_run("nothing")
    assert WorkflowRun.objects.count() == 1


def test_a_failed_child_is_retried_with_its_parent(world: World) -> None:
    @workflow
    def child(ctx: WorkflowContext) -> None:
        raise PermanentError("no")

    @workflow
    def parent(ctx: WorkflowContext) -> None:
        ctx.step.invoke("child", child)

    parent.trigger(run_id="above")
    world.finish("above")
    below = WorkflowRun.objects.get(parent__run_id="above")

    with pytest.raises(RunNotFailed, match=r"a part of run 'above'.* Take th"):
        retry_run(below.run_id)


# Forks.


def test_a_fork_goes_on_from_a_step_with_what_was_before(
    every: World,
) -> None:
    run_id = paying(fails=False)
    every.finish(run_id)
    DONE.clear()
    fork = every.finish(fork_run(run_id, "charge", {"n": 2}))

    assert (fork.status, fork.result) == ("completed", {"n": 2})
    assert DONE[0] == "charge"
    assert DONE[1:] == [f"{fork.run_id}:ship"]
    assert fork.origin == every.run_of(run_id)
    assert fork.is_fork
    assert (fork.root_id, fork.owner) == (fork.run_id, "7")
    assert every.run_of(run_id).result == {"n": 1}
    steps = fork.step_executions.values_list("step_id", "position")
    assert list(steps) == [("reserve", 0), ("charge", 1), ("ship", 2)]


def test_a_fork_at_the_first_step_has_the_data_of_its_origin(
    every: World,
) -> None:
    run_id = paying(fails=False)
    every.finish(run_id)
    fork = every.finish(fork_run(run_id, "reserve"))

    assert fork.result == {"n": 1}
    assert DONE.count("reserve") == 2


def test_an_open_run_is_forked_and_goes_on_by_itself(every: World) -> None:
    @workflow
    def waiting(ctx: WorkflowContext) -> Any:
        ctx.step.run("look", note, "look")
        return ctx.step.wait_for_event("wait", "go")

    run_id = waiting.trigger()
    every.deliver()
    fork = fork_run(run_id, "wait")
    every.deliver()
    send_event("go", "first", run_id=run_id)
    send_event("go", "second", run_id=fork)

    assert every.finish(run_id).result == "first"
    assert every.finish(fork).result == "second"
    assert DONE == ["look"]
    current = WorkflowRun.objects.current(run_id)
    assert current is not None
    assert current.run_id == run_id


def test_a_fork_executes_what_was_undone_again_and_undoes_only_its_own(
    every: World,
) -> None:
    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        ctx.step.run("look", note, "look")
        saga = ctx.step.options(compensate=undo)
        saga.run("reserve", note, "reserve")
        saga.run("print", note, "print")
        raise PermanentError("no van")

    every.finish(ordering.trigger(run_id="order"))
    DONE.clear()
    fork = every.finish(fork_run("order", "print"))

    assert fork.status == "compensated"
    assert DONE == ["reserve", "print", "undo print", "undo reserve"]


def test_the_rollback_of_a_fork_leaves_what_it_copied(every: World) -> None:
    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        saga = ctx.step.options(compensate=undo)
        saga.run("reserve", note, "reserve")
        saga.run("print", note, "print")
        if ctx.data:
            raise PermanentError("no van")

    every.finish(ordering.trigger(run_id="order"))
    DONE.clear()
    fork = every.finish(fork_run("order", "print", {"fails": True}))

    assert (fork.status, DONE) == ("compensated", ["print", "undo print"])


def test_a_fork_invokes_another_run(every: World) -> None:
    @workflow
    def child(ctx: WorkflowContext) -> str:
        return ctx.step.run("in", note, ctx.run_id)

    @workflow
    def parent(ctx: WorkflowContext) -> str:
        return ctx.step.invoke("child", child)

    first = every.finish(parent.trigger()).result
    fork = every.finish(fork_run(parent_of(first), "child"))

    assert fork.result != first
    assert len(DONE) == 2


def parent_of(run_id: str) -> str:
    run = WorkflowRun.objects.get(run_id=run_id).parent
    assert run is not None
    return run.run_id


def test_forks_are_erased_with_their_origin(world: World) -> None:
    run_id = paying(fails=False)
    world.finish(run_id)
    fork = fork_run(run_id, "charge")
    world.finish(fork)
    fork_run(fork, "ship")
    world.deliver()
    call_command("hookflow_erase", run_id, stdout=io.StringIO())

    assert not WorkflowRun.objects.exists()


def test_a_step_that_was_not_reached_is_refused_with_those_that_were(
    world: World,
) -> None:
    run_id = paying()
    world.finish(run_id)

    with pytest.raises(StepNotFound) as raised:
        fork_run(run_id, "chargee")
    assert str(raised.value) == (
        "Run 'order' has no step 'chargee' that it has reached. Did you mean "
        "'charge'? There are: 'reserve', 'charge'."
    )
    assert WorkflowRun.objects.count() == 1


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: fork_run("nothing", "x"), RunNotFound),
        (lambda: fork_run("order", "charge", [1]), TypeError),  # type: ignore[arg-type]
    ],
)
def test_a_fork_of_nothing_or_with_no_data_is_refused(
    world: World, call: Callable[[], str], error: type[Exception]
) -> None:
    world.finish(paying())

    with pytest.raises(error):
        call()
    assert WorkflowRun.objects.count() == 1


def test_a_fork_needs_the_code_of_its_origin(world: World) -> None:
    run_id = paying(fails=False)
    world.finish(run_id)
    registry.unregister("paying")

    with pytest.raises(WorkflowNotFound):
        fork_run(run_id, "charge")


def test_an_error_lists_twenty_steps(world: World) -> None:
    @workflow
    def long(ctx: WorkflowContext) -> None:
        for number in range(22):
            ctx.step.run(f"step-{number}", str)

    run_id = long.trigger()
    world.finish(run_id)

    with pytest.raises(StepNotFound, match=r"'step-19' and 2 more."):
        fork_run(run_id, "?")


# Undos.


def rolling_back(undo: Callable[[Any], Any]) -> str:
    @workflow
    def ordering(ctx: WorkflowContext) -> None:
        both = ctx.step.options(compensate=undo)
        both.run("reserve", note, "reserve")
        both.run("charge", note, "charge")
        raise PermanentError("no van")

    return ordering.trigger(run_id="order")


def test_a_rollback_that_has_failed_goes_on_without_an_undo(
    every: World,
) -> None:
    closed = {"charge", "reserve"}

    def release(result: str) -> None:
        if result in closed:
            refuse(result)
        note(f"undo {result}")

    assert every.finish(rolling_back(release)).rollback_failed
    closed.remove("reserve")
    DONE.clear()
    again = every.finish(waive_undo("order", "charge", "refunded by hand"))

    assert (again.status, DONE) == ("compensated", ["undo reserve"])
    waived = again.step_executions.get(step_id="charge~undo")
    assert (waived.status, waived.error_type) == ("skipped", "")
    assert waived.result == {
        "waived": "refunded by hand",
        "error": "PermanentError: charge is closed",
    }


def test_what_was_waived_was_not_undone(every: World) -> None:
    every.finish(rolling_back(refuse))
    again = every.finish(waive_undo("order", "charge", "by hand"))

    assert again.rollback_failed
    assert "Not undone: 'reserve'" in again.error_message
    assert "Undone: nothing." in again.error_message
    # It stays waived when that is retried.
    last = every.finish(waive_undo(again.run_id, "reserve", "by hand"))
    assert last.status == "compensated"


def test_an_undo_that_waits_to_be_tried_again_is_waived(
    every: World,
) -> None:
    def release(result: str) -> None:
        if result == "charge":
            raise ConnectionError("down")
        note(f"undo {result}")

    run_id = rolling_back(release)
    every.pass_time("1m")
    assert every.run_of(run_id).status == "compensating"
    assert waive_undo(run_id, "charge", "refunded by hand") == run_id
    run = every.finish(run_id, "1m")

    assert (run.status, DONE[2:]) == ("compensated", ["undo reserve"])


def test_an_undo_under_way_is_not_waived(world: World) -> None:
    def release(result: str) -> None:
        if "down" not in DONE:
            note("down")
            raise ConnectionError("down")
        raise Died

    run_id = rolling_back(release)
    world.deliver()
    world.advance("5m")
    with pytest.raises(Died):
        world.deliver()

    with pytest.raises(RunBusy, match="A worker has run 'order'"):
        waive_undo(run_id, "charge", "by hand")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: waive_undo("?", "charge", "why"), RunNotFound, "'?'"),
        (
            lambda: waive_undo("order", "ship", "why"),
            StepNotFound,
            "has no step 'ship' whose undo has failed. There are: 'charge', "
            "'reserve'.",
        ),
        (
            lambda: waive_undo("order", "charge", " "),
            ValueError,
            "The undo of 'charge' cannot be waived without a reason. Say why,",
        ),
    ],
)
def test_a_waiver_that_makes_no_sense_changes_nothing(
    world: World,
    call: Callable[[], str],
    error: type[Exception],
    message: str,
) -> None:
    world.finish(rolling_back(refuse))
    steps = list(StepExecution.objects.values())

    with pytest.raises(error) as raised:
        call()
    assert message in str(raised.value)
    assert list(StepExecution.objects.values()) == steps
