"""People who steer a run while a worker has it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import cancel_run
from django_hookflow import pause_run
from django_hookflow import resume_run
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import RunNotPaused
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World
from django_hookflow.tests.races.actors import Actor
from django_hookflow.tests.races.actors import deliver
from django_hookflow.tests.races.actors import stand
from django_hookflow.transports.memory import Message
from django_hookflow.transports.memory import memory_transport

APPEND = "INSERT INTO django_hookflow_stepexecution"
COMMIT = "completed_at = %s"
LOCK = "FOR NO KEY UPDATE"


def working(*, stops: bool = False) -> Message:
    """Trigger a run with two steps and a wait; return its message."""

    @workflow
    def working(ctx: WorkflowContext) -> str:
        ctx.step.run("first", stand if stops else str)
        ctx.step.run("second", str)
        received: str = ctx.step.wait_for_event("wait", "go")
        return received

    working.trigger(run_id="run")
    return memory_transport().waiting.pop()


def test_a_pause_stops_a_step_under_way_behind_it(world: World) -> None:
    message = working(stops=True)

    worker = Actor(lambda: deliver(message)).reach()
    Actor(lambda: pause_run("run")).result()
    assert world.run_of("run").status == "running"

    assert worker.go().result() == (200, "paused")
    run = world.finish("run")
    assert [s.step_id for s in run.step_executions.all()] == ["first"]
    resume_run("run")
    world.deliver()
    assert world.run_of("run").status == "waiting"


def test_a_pause_waits_for_a_verdict_that_is_being_written(
    world: World,
) -> None:
    message = working()

    worker = Actor(lambda: deliver(message), stop_after=COMMIT).reach()
    pauser = Actor(lambda: pause_run("run")).wait_until_blocked()
    worker.go()

    assert worker.result() == (200, "waiting")
    pauser.result()
    assert world.run_of("run").status == "paused"


def test_a_verdict_waits_for_a_pause_and_becomes_another(
    world: World,
) -> None:
    message = working(stops=True)

    worker = Actor(lambda: deliver(message)).reach()
    pauser = Actor(lambda: pause_run("run"), stop_after=LOCK).reach()
    worker.go().wait_until_blocked()
    pauser.go().result()

    assert worker.result() == (200, "paused")


def test_a_worker_that_looks_what_is_asked_finds_the_resume(
    world: World,
) -> None:
    @workflow
    def pausing(ctx: WorkflowContext) -> str:
        ctx.step.run("first", pause_run, "run")
        return ctx.step.run("second", str)

    pausing.trigger(run_id="run")
    message = memory_transport().waiting.pop()

    worker = Actor(lambda: deliver(message), stop_after=APPEND).reach()
    resume_run("run")

    assert worker.go().result() == (200, "completed")
    assert world.run_of("run").requested == ""


@pytest.mark.parametrize("second", [resume_run, cancel_run, pause_run])
def test_two_people_steer_one_run_one_after_the_other(
    world: World, second: Callable[[str], None]
) -> None:
    working()
    pause_run("run")

    first = Actor(lambda: resume_run("run"), stop_after=LOCK).reach()
    other = Actor(lambda: second("run")).wait_until_blocked()
    first.go().result()
    with suppress(RunNotPaused):
        other.result()
    expected = {resume_run: "pending", cancel_run: "cancelled"}

    assert world.run_of("run").status == expected.get(second, "paused")


def test_an_event_on_its_way_to_a_run_that_is_resumed_wakes_it(
    world: World,
) -> None:
    deliver(working())
    world.deliver()
    pause_run("run")

    def slow() -> None:
        with transaction.atomic():
            send_event("go", "now", run_id="run")
            stand()

    sender = Actor(slow).reach()
    resume_run("run")
    message = memory_transport().waiting.pop()
    worker = Actor(lambda: deliver(message)).wait_until_blocked()
    sender.go().result()

    assert worker.result() == (200, "waiting")
    assert world.finish("run").result == "now"


def test_runs_that_are_steered_at_random_end(world: World) -> None:
    """No lock is taken in two orders, and no request is lost."""
    message = working(stops=True)
    worker = Actor(lambda: deliver(message)).reach()
    people = [
        Actor(lambda operation=operation: attempt(operation))
        for operation in [pause_run, resume_run] * 8
    ]
    for one in people:
        one.result()
    attempt(resume_run)
    worker.go()

    assert worker.result()[0] == 200
    run = WorkflowRun.objects.get()
    assert (run.status, run.requested) == ("waiting", "")


def attempt(operation: Callable[[str], None]) -> None:
    with suppress(RunNotPaused):
        operation("run")
