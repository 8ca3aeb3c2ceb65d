"""Many runs that wait for the same event, which wakes one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Sum

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.models import Event
from django_hookflow.models import WorkflowRun
from django_hookflow.operations import maintenance
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport
from django_hookflow.workflows import registry
from django_hookflow.workflows.decorator import WorkflowWrapper

CROWD = 50


def crowd(world: World, count: int, *, timeout: Any = None) -> WorkflowWrapper:
    """Start runs "0", "1", … that each wait for a key of the same shelf."""

    @workflow
    def wants_key(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("key", "key", timeout, match="shelf")

    for number in range(count):
        wants_key.trigger(run_id=f"{number}")
        world.deliver()
    return wants_key


def put(count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        send_event("key", number, match="shelf")


def messages() -> int:
    """Return how many messages were sent for all runs."""
    total: int = WorkflowRun.objects.aggregate(n=Sum("messages"))["n"]
    return total


def holders() -> dict[str, Any]:
    done = WorkflowRun.objects.filter(status="completed")
    return {run.run_id: run.result for run in done}


@pytest.mark.parametrize("at_once", [True, False])
def test_events_cost_one_message_each_whatever_the_crowd(
    every: World, at_once: bool
) -> None:
    crowd(every, CROWD)

    for number in range(CROWD):
        put(1, number)
        if not at_once:
            every.deliver()
    every.deliver()

    assert holders() == {f"{n}": n for n in range(CROWD)}
    assert messages() == 2 * CROWD


def test_events_wake_those_who_have_waited_longest(every: World) -> None:
    crowd(every, 5)

    put(2)
    every.deliver()

    assert holders() == {"0": 0, "1": 1}


def test_fewer_waiters_than_events(every: World) -> None:
    crowd(every, 2)

    put(5)
    every.deliver()

    assert holders() == {"0": 0, "1": 1}
    assert messages() == 4
    assert Event.objects.filter(consumed_at=None).count() == 3


def test_many_events_for_one_run_wake_it_once(every: World) -> None:
    @workflow
    def collects(ctx: WorkflowContext) -> list[Any]:
        return [ctx.step.wait_for_event(f"{n}", "key") for n in range(3)]

    run_id = collects.trigger()
    every.deliver()
    for number in range(3):
        send_event("key", number, run_id=run_id)
    run = every.finish(run_id)

    assert (run.result, run.messages) == ([0, 1, 2], 2)


def test_an_event_goes_on_to_the_next_when_its_run_fails(
    every: World,
) -> None:
    crowd(every, 2)
    broken: WorkflowWrapper = registry.get_workflow("wants_key")

    def fail(ctx: WorkflowContext) -> None:
        raise ValueError(ctx.run_id)

    put(1)
    function, broken.function = broken.function, only("0", fail, broken)
    every.deliver()
    broken.function = function

    assert every.run_of("0").status == "failed"
    assert holders() == {"1": 0}


def test_an_event_goes_on_to_the_next_when_its_run_does_not_ask_for_it(
    every: World,
) -> None:
    crowd(every, 2)
    changed: WorkflowWrapper = registry.get_workflow("wants_key")

    def other(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("key", "key", match="drawer")

    put(1)
    function, changed.function = changed.function, only("0", other, changed)
    every.deliver()

    assert holders() == {"1": 0}
    send_event("key", "late", match="drawer")
    every.deliver()
    assert holders() == {"0": "late", "1": 0}
    changed.function = function


def test_an_event_goes_on_to_the_next_while_its_run_is_tried_again(
    every: World,
) -> None:
    crowd(every, 2)
    ailing: WorkflowWrapper = registry.get_workflow("wants_key")
    ailing.retry = RetryPolicy(retries=5, delay=3600)

    def away(ctx: WorkflowContext) -> None:
        raise ConnectionError

    put(1)
    function, ailing.function = ailing.function, only("0", away, ailing)
    every.deliver()
    ailing.function = function
    taken = holders()
    every.pass_time("3h")
    put(1, first=1)
    every.deliver()

    assert taken == {"1": 0}
    assert holders() == {"0": 1, "1": 0}


def only(
    run_id: str,
    function: Callable[[WorkflowContext], Any],
    others: WorkflowWrapper,
) -> Callable[[WorkflowContext], Any]:
    """Replace the function of one run."""
    before = others.function
    return lambda ctx: (function if ctx.run_id == run_id else before)(ctx)


def test_an_event_goes_on_to_the_next_when_its_run_does_not_come(
    world: World,
) -> None:
    crowd(world, 3)

    put(1)
    memory_transport().waiting.clear()  # lost
    world.advance("2m")
    maintenance.sweep()
    by_age = [
        message.delivery.run_id for message in memory_transport().waiting
    ]
    world.deliver()

    assert by_age == ["0", "1"]
    assert len(holders()) == 1
    assert world.run_of("2").messages == 1


def test_an_event_goes_on_to_the_next_when_the_code_of_its_run_is_gone(
    world: World,
) -> None:
    @workflow
    def gone(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("key", "key", match="shelf")

    gone.trigger(run_id="gone")
    world.deliver()
    crowd(world, 2)
    registry.unregister("gone")

    put(1)
    world.deliver()
    world.advance("2m")
    maintenance.sweep()
    world.deliver()

    assert holders() == {"0": 0}


def test_an_event_goes_on_to_the_next_when_its_run_is_erased(
    world: World,
) -> None:
    crowd(world, 2)

    put(1)
    call_command("hookflow_erase", "0", "--open")
    world.advance("2m")
    maintenance.sweep()
    world.deliver()

    assert holders() == {"1": 0}


def test_a_run_whose_time_is_up_leaves_the_event_to_others(
    every: World,
) -> None:
    crowd(every, 2, timeout="1h")

    every.pass_time("2h")
    put(1)
    every.deliver()
    crowd(every, 1)

    assert holders() == {}
    assert every.run_of("0").status == "failed"
