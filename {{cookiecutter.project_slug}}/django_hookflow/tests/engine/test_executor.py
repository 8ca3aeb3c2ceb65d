"""The lifecycle of runs, by the methods of the executor."""

from __future__ import annotations

from typing import Any

import pytest

from django_hookflow import WorkflowContext
from django_hookflow import WorkflowExecutor
from django_hookflow import pause_run
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import RunNotOpen
from django_hookflow.exceptions import RunNotPaused
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.models import Event
from django_hookflow.operations.control import wake_run
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport

executor = WorkflowExecutor()
OPEN: list[bool] = []


@pytest.fixture(autouse=True)
def _closed() -> None:
    OPEN.clear()


def release(result: Any) -> None:
    if not OPEN:
        raise PermanentError("closed")


@workflow
def user_onboarding(ctx: WorkflowContext) -> Any:
    ctx.step.options(compensate=release).run("reserve", str, "shelf")
    if ctx.data.get("fails"):
        raise PermanentError("no")
    return ctx.step.wait_for_event("wait", "go")


@pytest.fixture(autouse=True)
def _declared(workflows: None) -> None:
    workflow(workflow_id="user_onboarding")(user_onboarding.function)


@pytest.mark.promise("executor", "run-status")
def test_a_run_is_started_waits_is_resumed_and_completes(
    every: World,
) -> None:
    run_id = executor.start("user_onboarding", {"user": 1})
    assert run_id == run_id.run_id
    assert executor.status(run_id).status == "pending"
    every.deliver()
    assert executor.status(run_id).status == "waiting"
    send_event("go", "on", run_id=run_id)
    run = every.finish(run_id)

    assert (executor.status(run_id), run.result) == (run, "on")
    assert run.data == {"user": 1}


def test_a_waiting_run_is_resumed_to_look_again(every: World) -> None:
    run_id = executor.start("user_onboarding")
    every.deliver()
    send_event("go", "on", match="else")
    Event.objects.update(run=executor.status(run_id), match="")
    executor.resume(run_id)

    assert every.finish(run_id).result == "on"


def test_a_run_that_is_due_is_sent_for_again(every: World) -> None:
    run_id = executor.start("user_onboarding")
    memory_transport().reset()  # its message is lost
    executor.resume(run_id)
    every.deliver()

    assert executor.status(run_id).status == "waiting"


def test_a_paused_run_is_resumed(every: World) -> None:
    run_id = executor.start("user_onboarding")
    pause_run(run_id)
    executor.resume(run_id)
    every.deliver()

    assert executor.status(run_id).status == "waiting"


@pytest.mark.promise("executor")
def test_a_cancelled_run_is_compensated(every: World) -> None:
    OPEN.append(True)
    run_id = executor.start("user_onboarding")
    every.deliver()
    executor.cancel(run_id)
    assert executor.status(run_id).status == "compensating"
    every.finish(run_id)

    assert executor.status(run_id).status == "compensated"
    with pytest.raises(RunNotOpen):
        executor.cancel(run_id)
    with pytest.raises(RunNotPaused):
        executor.resume(run_id)


def test_a_failed_run_whose_steps_are_not_undone_is_cancelled(
    every: World,
) -> None:
    run_id = executor.start("user_onboarding", {"fails": True})
    assert every.finish(run_id).status == "failed"
    executor.cancel(run_id)
    assert executor.status(run_id).status == "compensating"
    every.finish(run_id)
    assert executor.status(run_id).status == "failed"

    OPEN.append(True)
    executor.cancel(run_id)
    every.finish(run_id)
    assert executor.status(run_id).status == "compensated"


def test_what_does_not_exist_is_an_error(world: World) -> None:
    with pytest.raises(WorkflowNotFound, match="Did you mean 'user_onb"):
        executor.start("user_onboard")
    for method in (executor.status, executor.resume, executor.cancel):
        with pytest.raises(RunNotFound):
            method("nothing")


def test_a_run_that_is_not_there_cannot_be_woken() -> None:
    with pytest.raises(RunNotFound, match="nobody"):
        wake_run("nobody")
