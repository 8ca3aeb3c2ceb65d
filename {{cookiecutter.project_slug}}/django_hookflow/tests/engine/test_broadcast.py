"""Events for every run that waits for them now."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import cancel_run
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.models import Event
from django_hookflow.races import event
from django_hookflow.testing.world import World
from django_hookflow.workflows.registry import get_workflow


@pytest.fixture
def runs(world: World) -> dict[str, str]:
    """Three runs that wait for the news at different addresses."""

    @workflow
    def reads(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("news", "news", match=ctx.data["at"])

    @workflow
    def races(ctx: WorkflowContext) -> Any:
        won = ctx.step.first(
            "race", a=event("tick"), b=event("news", match="red")
        )
        return won[1]

    found = {
        "red": reads.trigger({"at": "red"}),
        "blue": reads.trigger({"at": "blue"}),
        "race": races.trigger(),
    }
    world.deliver()
    return found


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ({"match": "red"}, {"red", "race"}),
        ({}, {"red", "blue", "race"}),
        ({"workflow": "reads"}, {"red", "blue"}),
        ({"workflow": "reads", "match": "red"}, {"red"}),
        ({"match": "green"}, set()),
    ],
)
def test_a_broadcast_wakes_each_run_that_waits_for_it(
    world: World,
    runs: dict[str, str],
    address: dict[str, Any],
    reached: set[str],
) -> None:
    count = send_event("news", "hello", broadcast=True, **address)
    woken = world.deliver()

    ended = {n for n in runs if world.run_of(runs[n]).status == "completed"}
    assert (count, woken, ended) == (len(reached), len(reached), reached)
    assert {world.run_of(runs[name]).result for name in reached} <= {"hello"}


def test_a_workflow_can_be_named_by_its_function(
    world: World, runs: dict[str, str]
) -> None:
    races = get_workflow("races")

    assert send_event("news", broadcast=True, workflow=races) == 1


def test_the_same_broadcast_again_reaches_only_new_runs(
    world: World, runs: dict[str, str]
) -> None:
    for expected in (3, 0):
        count = send_event("news", broadcast=True, event_id="monday")
        assert count == expected

    @workflow
    def late(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("news", "news")

    run_id = late.trigger()
    world.deliver()
    assert world.run_of(run_id).status == "waiting"
    assert send_event("news", 2, broadcast=True, event_id="monday") == 1
    assert world.finish(run_id).result == 2


def test_a_broadcast_does_not_reach_a_run_that_has_ended(
    world: World, runs: dict[str, str]
) -> None:
    cancel_run(runs["red"])

    assert send_event("news", broadcast=True, match="red") == 1


def test_a_broadcast_rolls_back_with_its_transaction(
    world: World, runs: dict[str, str]
) -> None:
    with transaction.atomic():
        assert send_event("news", broadcast=True) == 3
        transaction.set_rollback(True)

    assert (Event.objects.count(), world.deliver()) == (0, 0)


def test_a_plain_event_still_wakes_one_run(
    world: World, runs: dict[str, str]
) -> None:
    send_event("news", match="red")

    assert world.deliver() == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"broadcast": True, "run_id": "r1"},
            "A broadcast has no run_id. Write send_event(name, data, "
            "run_id=…) for one run, or leave it out for all that wait.",
        ),
        (
            {"broadcast": True, "workflow": 5},
            "Invalid workflow 5, expected a function declared by @workflow, "
            "or its id.",
        ),
        (
            {"workflow": "reads", "match": "red"},
            "An event for the runs of a workflow is a broadcast. Write "
            "send_event(name, data, workflow=…, broadcast=True).",
        ),
    ],
)
def test_a_broadcast_to_something_else_is_refused(
    world: World, given: Any, said: str
) -> None:
    with pytest.raises(TypeError) as caught:
        send_event("news", **given)

    assert str(caught.value) == said
