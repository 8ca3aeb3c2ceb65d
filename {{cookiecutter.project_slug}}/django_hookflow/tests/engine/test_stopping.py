"""A worker that is told to stop finishes its step and sends the rest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_hookflow import WorkflowContext
from django_hookflow import stopping
from django_hookflow import workflow
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport

executed: list[str] = []


@workflow(workflow_id="three steps of the stopping tests")
def three_steps(ctx: WorkflowContext) -> str:
    ctx.step.run("first", execute, "first")
    ctx.step.run("second", execute, "second")
    ctx.step.run("third", execute, "third")
    return "done"


def execute(name: str) -> str:
    executed.append(name)
    if name == "first":
        stopping.tell()  # SIGTERM comes while it works
    return name


@pytest.fixture(autouse=True)
def going_on() -> Iterator[None]:
    executed.clear()
    yield
    stopping.tell(is_stopping=False)


def test_a_delivery_ends_with_the_step_under_way(world: World) -> None:
    three_steps.trigger(run_id="r1")
    first = memory_transport().waiting[0]

    memory_transport().deliver(first)

    run = world.run_of("r1")
    assert executed == ["first"]
    assert steps_of(run) == [("first", "completed")]
    assert (run.status, run.lease_token) == ("waiting", "")
    sent = [message.delivery for message in memory_transport().waiting]
    assert [delivery.run_id for delivery in sent] == ["r1"]
    assert sent != [first.delivery]


def test_another_process_continues_after_the_recorded_step(
    every: World,
) -> None:
    three_steps.trigger(run_id="r1")
    memory_transport().deliver(memory_transport().waiting[0])

    stopping.tell(is_stopping=False)  # as in a process that was just started
    every.deliver()

    assert executed == ["first", "second", "third"]
    assert every.run_of("r1").status == "completed"
    assert every.run_of("r1").deliveries == 2


def test_a_stopping_process_begins_nothing_new(world: World) -> None:
    three_steps.trigger(run_id="r1")
    stopping.tell()

    response = memory_transport().deliver(memory_transport().waiting[0])

    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert executed == []
    assert world.run_of("r1").deliveries == 0
    assert [message.retried for message in memory_transport().waiting] == [1]


def steps_of(run: WorkflowRun) -> list[tuple[str, str]]:
    return list(run.step_executions.values_list("step_id", "status"))
