"""Runs that begin later, and runs that have an owner."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.models import User

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RunConflict
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.maintenance import sweep
from django_hookflow.testing.world import EPOCH
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.memory import post

WEEK = timedelta(days=7)


@workflow(workflow_id="told")
def telling(ctx: WorkflowContext) -> Any:
    """Say what the context knows."""
    return [
        ctx.workflow_name,
        ctx.version,
        ctx.owner,
        ctx.started_at,
        ctx.step.run("now", lambda: ctx.now()),
    ]


@pytest.mark.parametrize("delay", ["7d", WEEK, 7 * 86_400])
def test_a_delayed_run_begins_when_it_is_due(every: World, delay: Any) -> None:
    run_id = telling.trigger(delay=delay)

    every.pass_time("6d")
    waiting = every.run_of(run_id)
    assert (waiting.status, waiting.deliveries) == ("pending", 0)
    assert (waiting.wake_at, waiting.created_at) == (EPOCH + WEEK, EPOCH)
    run = every.finish(run_id)

    begun = {"$datetime": "2026-01-08T00:00:00+00:00"}
    assert run.result == ["told", 1, "", begun, begun]
    assert (run.deliveries, run.messages) == (1, 1)


def test_a_message_that_comes_early_waits_for_the_rest(every: World) -> None:
    run_id = telling.trigger(delay="7d")
    (message,) = memory_transport().waiting

    for day in range(1, 4):  # as a transport with a limit for delays sends
        every.advance("1d")
        first = message if day == 1 else memory_transport().waiting[-1]
        memory_transport().reset()
        for _ in range(every.times):
            assert post(first.delivery).status_code == 200

    waiting = every.run_of(run_id)
    assert (waiting.status, waiting.deliveries) == ("waiting", 3)
    assert waiting.wake_at == waiting.started_at == EPOCH + WEEK
    run = every.finish(run_id)
    assert run.completed_at == EPOCH + WEEK
    begun = {"$datetime": "2026-01-08T00:00:00+00:00"}
    assert run.result == ["told", 1, "", begun, begun]


def test_a_delayed_run_whose_message_is_lost_is_swept(world: World) -> None:
    run_id = telling.trigger(delay="7d")
    memory_transport().reset()

    world.advance("7d")
    assert sweep() == 0
    world.advance("2m")
    assert sweep() == 1

    assert world.finish(run_id).status == "completed"


def test_a_late_first_message_is_the_start(world: World) -> None:
    run_id = telling.trigger(delay="1h")

    world.advance("3h")
    world.deliver()

    assert world.run_of(run_id).started_at == EPOCH + timedelta(hours=3)


@pytest.mark.parametrize(
    "delay", [-1, "soon", None, float("nan"), float("inf"), "9000000d"]
)
def test_a_delay_that_is_no_duration_starts_nothing(
    world: World, delay: Any
) -> None:
    with pytest.raises(ValueError, match="expected 0 seconds"):
        telling.trigger(delay=delay)

    assert not WorkflowRun.objects.exists()


def test_a_delay_of_nothing_is_none(world: World) -> None:
    telling.trigger(delay="0s")

    assert world.deliver() == 1


def test_an_owner_is_a_user_or_a_text(world: World) -> None:
    ada = User.objects.create(username="ada")

    of_ada = world.finish(telling.trigger(owner=ada))
    of_team = world.finish(telling.trigger(owner="team-7"))
    of_none = world.finish(telling.trigger(owner=""))

    owners = [of_ada.owner, of_team.owner, of_none.owner]
    assert owners == [str(ada.pk), "team-7", ""]
    assert [run.result[2] for run in (of_ada, of_team)] == owners[:2]
    assert list(WorkflowRun.objects.filter(owner=ada.pk)) == [of_ada]


@pytest.mark.parametrize("owner", [7, User(username="new"), AnonymousUser()])
def test_an_owner_that_cannot_be_found_again_is_refused(
    world: World, owner: Any
) -> None:
    with pytest.raises(TypeError, match="expected a saved user or a text"):
        telling.trigger(owner=owner)


def test_the_run_of_another_owner_is_another_run(world: World) -> None:
    telling.trigger(run_id="mine", owner="ada")
    assert telling.trigger(run_id="mine", owner="ada") == "mine"

    with pytest.raises(RunConflict, match="exists with another owner"):
        telling.trigger(run_id="mine", owner="bob")


def test_children_and_retries_have_the_owner_of_their_run(
    every: World,
) -> None:
    broken = [True]

    @workflow
    def parent(ctx: WorkflowContext) -> Any:
        told = ctx.step.invoke("ask", telling)
        if broken:
            raise PermanentError("not yet")
        return [ctx.owner, told[2]]

    every.finish(parent.trigger(owner="ada"))
    broken.clear()
    run = every.finish(DeadLetterEntry.objects.get().replay())

    assert run.result == ["ada", "ada"]
    assert set(WorkflowRun.objects.values_list("owner", flat=True)) == {"ada"}
