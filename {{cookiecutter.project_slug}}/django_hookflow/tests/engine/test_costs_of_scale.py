"""Costs that must not grow with a run: counted, never timed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport
from django_hookflow.workflows.decorator import WorkflowWrapper

MOST_STATEMENTS = 6  # of a delivery, beside those of its steps


@pytest.fixture
def napping(workflows: None) -> WorkflowWrapper:
    """Declare a workflow of so many steps and a sleep that does not end."""

    @workflow
    def napping(ctx: WorkflowContext) -> None:
        for n in range(ctx.data["steps"]):
            ctx.step.run(f"step-{n}", str, n)
        ctx.step.sleep("nap", "30d")

    return napping


class Calls:
    """Return how many functions were called, Python's and C's."""

    count = 0

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        self.count += event in {"call", "c_call"}


@contextmanager
def counted_calls() -> Iterator[Calls]:
    calls = Calls()
    sys.setprofile(calls)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def asleep(world: World, napping: WorkflowWrapper, steps: int) -> None:
    """Make a run that sleeps after so many steps, with one message waiting."""
    memory_transport().reset()
    napping.trigger({"steps": steps})
    world.deliver()


def ring_early() -> None:
    """Deliver the message before it is due, so that all steps are replayed."""
    memory_transport().deliver(memory_transport().waiting[0])


def statements(captured: CaptureQueriesContext) -> list[str]:
    """Return the first word of each statement."""
    return [query["sql"].split(None, 1)[0] for query in captured]


def test_a_replay_costs_the_same_statements_whatever_the_journal(
    world: World, napping: WorkflowWrapper
) -> None:
    found = {}

    for steps in (0, 10, 300):
        asleep(world, napping, steps)
        with CaptureQueriesContext(connection) as captured:
            ring_early()
        found[steps] = statements(captured)

    assert found[10] == found[0]
    assert found[300] == found[0]
    assert len(found[0]) <= MOST_STATEMENTS


def test_a_replay_does_the_same_for_each_step_of_a_longer_journal(
    world: World, napping: WorkflowWrapper
) -> None:
    asleep(world, napping, 1)
    ring_early()  # what is done once per process
    called = {}

    for steps in (0, 200, 400, 800):
        asleep(world, napping, steps)
        with counted_calls() as calls:
            ring_early()
        called[steps] = calls.count

    of_a_short = (called[200] - called[0]) / 200
    of_a_long = (called[800] - called[400]) / 400
    assert of_a_long == pytest.approx(of_a_short, rel=0.05)
    assert of_a_long < 100


def test_a_step_costs_the_same_at_the_end_of_a_long_run(
    world: World, napping: WorkflowWrapper
) -> None:
    found = {}

    for steps in (0, 50, 500):
        memory_transport().reset()
        napping.trigger({"steps": steps})
        with CaptureQueriesContext(connection) as captured:
            world.deliver()
        found[steps] = statements(captured)

    assert len(found[50]) == len(found[0]) + 50
    assert len(found[500]) == len(found[0]) + 500


def test_a_message_is_the_same_after_one_step_and_after_many(
    world: World, napping: WorkflowWrapper
) -> None:
    sizes = []

    for steps in (1, 300):
        asleep(world, napping, steps)
        sizes.append(len(memory_transport().waiting[0].delivery.encode()))

    assert sizes[0] == sizes[1] < 1000


def test_an_event_costs_as_much_after_a_long_journal(
    world: World,
) -> None:
    @workflow
    def listening(ctx: WorkflowContext) -> Any:
        for n in range(ctx.data["steps"]):
            ctx.step.run(f"step-{n}", str, n)
        return ctx.step.wait_for_event("wait", "paid")

    found = {}
    for steps in (1, 200):
        run_id = listening.trigger({"steps": steps})
        world.deliver()
        with CaptureQueriesContext(connection) as captured:
            send_event("paid", run_id=run_id)
            world.deliver()
        found[steps] = statements(captured)

    assert found[200] == found[1]


def test_messages_grow_with_the_waits_alone(every: World) -> None:
    @workflow
    def waits(ctx: WorkflowContext) -> None:
        for wait in range(ctx.data["waits"]):
            for n in range(ctx.data["steps"]):
                ctx.step.run(f"step-{wait}-{n}", str, n)
            ctx.step.sleep(f"nap-{wait}", 60)

    few = every.finish(waits.trigger({"waits": 3, "steps": 1}))
    many = every.finish(waits.trigger({"waits": 3, "steps": 60}))

    assert (few.messages, many.messages) == (4, 4)
