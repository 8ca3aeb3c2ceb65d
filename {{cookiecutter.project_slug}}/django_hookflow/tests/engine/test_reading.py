"""The properties and questions that views share."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from django_hookflow import WorkflowContext
from django_hookflow import signals
from django_hookflow import workflow
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.states import RunStatus
from django_hookflow.testing.world import World


@pytest.mark.parametrize("status", RunStatus.values)
def test_a_run_is_finished_when_nothing_changes_it_any_more(
    status: str,
) -> None:
    ended = {"completed", "failed", "cancelled", "compensated"}

    assert WorkflowRun(status=status).is_finished == (status in ended)


def test_the_duration_of_a_run_is_from_its_trigger_to_its_end(
    world: World,
) -> None:
    @workflow
    def sleeper(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", "90s")

    run_id = sleeper.trigger()
    world.deliver()

    assert world.run_of(run_id).duration is None
    assert world.finish(run_id).duration == timedelta(seconds=90)


def test_a_wait_that_ended_without_an_event_has_timed_out(
    world: World,
) -> None:
    @workflow
    def patient(ctx: WorkflowContext) -> None:
        try:
            ctx.step.wait_for_event("paid", "payment", "1h")
        except EventTimeout:
            ctx.step.run("remind", str)
        with suppress(WorkflowError):
            ctx.step.run("broken", int, "x")

    run = world.finish(patient.trigger())

    steps = {step.step_id: step for step in run.step_executions.all()}
    found = {name: step.timed_out for name, step in steps.items()}
    assert found == {"paid": True, "remind": False, "broken": False}
    assert not StepExecution(status="waiting").timed_out


@workflow(workflow_id="failing of the reading tests")
def failing(ctx: WorkflowContext) -> None:
    raise ValueError("always")


def replayed(world: World, run_id: str) -> str:
    """Fail a run, replay its dead letter, and return the replay's id."""
    world.finish(run_id)
    return DeadLetterEntry.objects.get(run_id=run_id).replay()


def current(run_id: str) -> str | None:
    found = WorkflowRun.objects.current(run_id)
    return found and found.run_id


def test_the_current_run_of_an_id_is_the_last_of_its_replays(
    world: World,
) -> None:
    failing.trigger(run_id="first")
    assert current("first") == "first"
    world.finish("first")
    assert current("first") == "first"

    second = replayed(world, "first")
    assert current("first") == second
    third = replayed(world, second)

    assert [current(i) for i in ("first", second, third)] == [third] * 3
    assert current("unknown") is None


def test_a_replay_is_found_when_the_failed_run_is_deleted(
    world: World,
) -> None:
    second = replayed(world, failing.trigger(run_id="first"))
    WorkflowRun.objects.get(run_id="first").delete()

    assert current("first") == second


def test_a_run_is_found_when_its_replay_is_deleted(world: World) -> None:
    second = replayed(world, failing.trigger(run_id="first"))
    WorkflowRun.objects.get(run_id=second).delete()

    assert current("first") == "first"


def test_a_new_run_with_the_id_of_an_old_one_is_not_its_replay(
    world: World,
) -> None:
    second = replayed(world, failing.trigger(run_id="first"))
    WorkflowRun.objects.get(run_id="first").delete()
    world.advance("40d")
    failing.trigger(run_id="first")

    assert current("first") == "first"
    assert current(second) == second


def test_receivers_of_signals_find_their_types_there() -> None:
    contrib = Path(signals.__file__).with_name("contrib").rglob("*.py")
    modules = [path.read_text() for path in contrib]
    receivers = [text for text in modules if "import signals" in text]
    text = "".join(receivers)

    assert {"Entry", "Failure", "Verdict"} <= {*signals.__all__}
    assert receivers
    assert "django_hookflow.journal" not in text
    assert "django_hookflow.outcomes" not in text
