"""Early messages and processes that slept, as the simulation found them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from pytest_django import Settings

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.conf import conf
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import Message
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.memory import post

pytestmark = pytest.mark.usefixtures("transactional_db", "workflows")


def test_a_message_that_comes_too_early_does_not_retry_early(
    world: World,
) -> None:
    tried: list[timedelta] = []
    began = world.now

    def fail_once() -> str:
        tried.append(world.now - began)
        if len(tried) == 1:
            raise ConnectionError("not yet")
        return "done"

    @workflow(retry=RetryPolicy(delay=3600))
    def failing(ctx: WorkflowContext) -> str:
        return ctx.step.run("fetch", fail_once)

    run_id = failing.trigger()
    world.deliver()
    memory_transport().deliver(memory_transport().waiting[0])
    run = world.finish(run_id)

    assert tried == [timedelta(0), timedelta(hours=1)]
    assert (run.status, run.result) == ("completed", "done")
    assert run.step_executions.get().attempts == 2


def test_a_process_that_slept_between_steps_begins_no_step_of_another(
    world: World,
) -> None:
    calls: list[str] = []
    bodies: list[int] = []

    def charge() -> str:
        calls.append("charge")
        return "charged"

    def fall_asleep() -> None:
        """Let the lease run out, and another process end the run."""
        world.advance(conf.DJANGO_HOOKFLOW_LEASE)
        assert answer(message) == (200, "completed")

    @workflow
    def sleepy(ctx: WorkflowContext) -> str:
        bodies.append(1)
        if len(bodies) == 1:
            fall_asleep()
        return ctx.step.run("charge", charge)

    run_id = sleepy.trigger()
    message = memory_transport().waiting[0]

    assert answer(message) == (503, "lease lost")
    assert calls == ["charge"]
    assert world.finish(run_id).status == "completed"


def test_a_process_that_slept_continues_if_its_run_was_not_taken(
    world: World, settings: Settings
) -> None:
    settings.DJANGO_HOOKFLOW_DELIVERY_BUDGET = 3600
    calls: list[str] = []

    @workflow
    def sleepy(ctx: WorkflowContext) -> None:
        world.advance(conf.DJANGO_HOOKFLOW_LEASE)
        ctx.step.run("first", calls.append, "first")
        ctx.step.run("second", calls.append, "second")

    run = world.finish(sleepy.trigger())

    assert calls == ["first", "second"]
    assert (run.status, run.deliveries, run.messages) == ("completed", 1, 1)


def answer(message: Message) -> tuple[int, str]:
    response = post(message.delivery)
    return response.status_code, json.loads(response.getvalue())["status"]
