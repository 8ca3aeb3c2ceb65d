"""A run fails when it kills its workers, not when other things do."""

from __future__ import annotations

import pytest

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.conf import conf
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport

pytestmark = pytest.mark.usefixtures("transactional_db", "workflows")


def deliver_after(deaths: int, world: World) -> None:
    """Deliver the live message once more than its workers die."""
    message = memory_transport().waiting[0]
    for _ in range(deaths):
        with pytest.raises(Died):
            memory_transport().deliver(message)
        world.advance(conf.DJANGO_HOOKFLOW_LEASE + 1)
    memory_transport().deliver(message)


def test_a_run_that_gets_on_survives_any_number_of_deaths(
    world: World,
) -> None:
    calls: list[str] = []

    def work(name: str) -> None:
        calls.append(name)
        if calls.count(name) == 1:
            raise Died

    @workflow
    def unlucky(ctx: WorkflowContext) -> None:
        for number in range(8):
            ctx.step.run(f"step-{number}", work, f"step-{number}")

    run_id = unlucky.trigger()
    deliver_after(8, world)
    run = world.finish(run_id)

    assert (run.status, run.error_message) == ("completed", "")
    assert [step.attempts for step in run.step_executions.all()] == [2] * 8
    assert len(calls) == 16


def test_a_death_in_one_step_is_no_attempt_of_the_next(world: World) -> None:
    calls: list[str] = []

    def work(name: str) -> None:
        calls.append(name)
        if len(calls) == 1:
            raise Died

    @workflow
    def unlucky(ctx: WorkflowContext) -> None:
        ctx.step.run("first", work, "first")
        ctx.step.run("second", work, "second")

    run_id = unlucky.trigger()
    deliver_after(1, world)

    steps = world.run_of(run_id).step_executions
    counted = steps.values_list("step_id", "attempts", "deliveries")
    assert list(counted) == [("first", 2, 2), ("second", 1, 1)]


def test_deaths_and_failures_in_two_steps_are_counted_apart(
    world: World,
) -> None:
    calls: list[str] = []

    def first() -> None:
        calls.append("first")
        if len(calls) == 1:
            raise Died

    def second() -> None:
        calls.append("second")
        if calls.count("second") == 1:
            raise Died
        if calls.count("second") == 2:
            raise ConnectionError("not yet")

    @workflow(retry=RetryPolicy(retries=2))
    def unlucky(ctx: WorkflowContext) -> None:
        ctx.step.run("first", first)
        ctx.step.run("second", second)

    run_id = unlucky.trigger()
    deliver_after(2, world)
    run = world.finish(run_id)

    attempts = {s.step_id: s.attempts for s in run.step_executions.all()}
    assert run.status == "completed"
    assert attempts == {"first": 2, "second": 3}


def test_a_run_that_kills_its_workers_is_given_up(world: World) -> None:
    def work() -> None:
        raise Died

    @workflow
    def deadly(ctx: WorkflowContext) -> None:
        ctx.step.run("fine", str)
        ctx.step.run("deadly", work)

    run_id = deadly.trigger()
    deliver_after(conf.DJANGO_HOOKFLOW_MAX_CRASHES, world)
    run = world.finish(run_id)

    assert (run.status, run.error_type) == ("failed", "WorkerCrashed")
