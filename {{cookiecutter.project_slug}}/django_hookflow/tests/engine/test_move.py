"""Runs move to another transport: a new message, and the old one is stale."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError
from django.core.management import call_command

from django_hookflow import WorkflowContext
from django_hookflow import pause_run
from django_hookflow import workflow
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import RunNotOpen
from django_hookflow.operations.moves import move_run
from django_hookflow.testing.world import World

MEMORY = "django_hookflow.transports.memory.MemoryTransport"


@pytest.fixture
def nap(world: World) -> World:
    """A run sleeps for a day, and begins with a step."""

    @workflow(workflow_id="nap")
    def nap(ctx: WorkflowContext) -> list[str]:
        ctx.step.run("look", done.append, "look")
        ctx.step.sleep("sleep", "1d")
        ctx.step.run("rise", done.append, "rise")
        return done

    done: list[str] = []
    nap.trigger(run_id="a")
    return world


def test_a_run_that_sleeps_is_sent_again_for_the_same_time(nap: World) -> None:
    nap.deliver()
    (old,) = nap.transport.waiting
    due = nap.run_of("a").wake_at

    move_run("a", by="ada")

    (_, new) = nap.transport.waiting
    assert new.due == old.due == due
    assert new.delivery.token != old.delivery.token
    assert nap.finish("a", "2d").result == ["look", "rise"]


@pytest.mark.parametrize("order", [1, -1], ids=["old", "new"])
def test_both_messages_move_it_once(nap: World, order: int) -> None:
    nap.deliver()
    for _ in range(3):
        move_run("a")
    nap.advance("2d")

    for message in list(nap.transport.waiting)[::order]:
        nap.transport.deliver(message)

    run = nap.finish("a", "1d")
    assert (run.result, run.deliveries) == (["look", "rise"], 2)


def test_a_run_that_has_not_begun_is_moved(nap: World) -> None:
    (lost,) = nap.transport.waiting
    nap.transport.take(lost)

    move_run("a")

    assert nap.finish("a", "2d").result == ["look", "rise"]


def test_a_run_at_work_is_left_to_its_worker(world: World) -> None:
    @workflow(workflow_id="busy")
    def busy(ctx: WorkflowContext) -> None:
        ctx.step.run("move", move_run, ctx.run_id)

    busy.trigger(run_id="a")
    world.deliver()

    assert world.run_of("a").status == "completed"
    assert world.transport.waiting == []


def test_runs_without_a_message_get_none(world: World) -> None:
    @workflow(workflow_id="wait")
    def wait(ctx: WorkflowContext) -> None:
        ctx.step.wait_for_event("wait", "paid")

    for run_id in "ab":
        wait.trigger(run_id=run_id)
    pause_run("b")
    world.transport.take(world.transport.waiting[1])
    world.deliver()

    for run_id in "ab":
        move_run(run_id)

    assert world.transport.waiting == []


def test_a_branch_that_waits_for_its_turn_gets_no_message(
    world: World,
) -> None:
    @workflow(workflow_id="many")
    def many(ctx: WorkflowContext) -> list[str]:
        return ctx.step.map("each", str, [1, 2], max_parallel=1)

    many.trigger(run_id="a")
    world.transport.deliver(world.transport.waiting[0])
    first, second = world.run_of("a").children.order_by("branch")
    assert second.is_held_back
    sent = len(world.transport.waiting)

    move_run(second.run_id)
    assert len(world.transport.waiting) == sent
    move_run(first.run_id)
    assert len(world.transport.waiting) == sent + 1

    assert world.finish("a", "1d").result == ["1", "2"]


def test_what_has_ended_or_is_unknown_is_not_moved(nap: World) -> None:
    nap.finish("a", "2d")

    with pytest.raises(
        RunNotOpen,
        match=r"^Run 'a' is completed, so there is nothing to move\. Only "
        r"compensating, paused, pending, running and waiting runs can be\.$",
    ):
        move_run("a")
    with pytest.raises(RunNotFound):
        move_run("b")


def test_the_command_moves_many(nap: World) -> None:
    nap.deliver()
    stream = io.StringIO()

    call_command(
        "hookflow_runs", "move", "--status=waiting", "--yes",
        f"--to={MEMORY}", stdout=stream,
    )  # fmt: skip

    assert stream.getvalue().endswith("a: moved\nMoved: 1 run.\n")
    assert len(nap.transport.waiting) == 2


def test_the_command_moves_to_the_transport_of_the_settings_only(
    nap: World,
) -> None:
    with pytest.raises(
        CommandError,
        match=r"so runs cannot be moved to 'shop\.Pigeon'\. Change it, ",
    ):
        call_command("hookflow_runs", "move", "a", "--to=shop.Pigeon")

    assert len(nap.transport.waiting) == 1
