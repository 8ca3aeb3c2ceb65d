"""The last branches of a fan-out, and the run that waits for them."""

from __future__ import annotations

from functools import partial
from typing import Any

from django_hookflow import WorkflowContext
from django_hookflow import cancel_run
from django_hookflow import workflow
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World
from django_hookflow.tests.races.actors import Actor
from django_hookflow.tests.races.actors import deliver
from django_hookflow.transports.memory import Message
from django_hookflow.transports.memory import memory_transport

PASSED_ON = ", has_ticket = FALSE"


def two_branches(**terms: Any) -> tuple[str, list[Message]]:
    """Return the id of a run, and the messages of its two branches."""

    @workflow
    def joining(ctx: WorkflowContext) -> Any:
        return ctx.step.map("work", str, range(2), **terms)

    run_id = joining.trigger()
    deliver(memory_transport().waiting.pop())
    messages = list(memory_transport().waiting)
    memory_transport().waiting.clear()
    return run_id, messages


def test_two_last_branches_that_end_at_once_wake_their_parent_once(
    world: World,
) -> None:
    run_id, (first, second) = two_branches()

    # Its end is written, and not committed: the other sees it open.
    slow = Actor(partial(deliver, first), stop_after=PASSED_ON).reach()
    assert deliver(second) == (200, "completed")
    assert not memory_transport().waiting
    assert slow.go().result() == (200, "completed")

    assert len(memory_transport().waiting) == 1
    assert world.finish(run_id).result == ["0", "1"]
    assert world.run_of(run_id).messages == 2


def test_two_workers_do_not_take_the_same_branch(world: World) -> None:
    calls: list[int] = []

    @workflow
    def sharing(ctx: WorkflowContext) -> Any:
        return len(
            ctx.step.map("work", calls.append, range(9), max_parallel=2)
        )

    run_id = sharing.trigger()
    deliver(memory_transport().waiting.pop())
    first, second = memory_transport().waiting
    memory_transport().waiting.clear()

    slow = Actor(partial(deliver, first), stop_after="SET has_ticket").reach()
    deliver(second)
    slow.go().result()

    assert world.finish(run_id).result == 9
    assert sorted(calls) == list(range(9))


def test_a_cancelled_run_gives_no_branch_away(world: World) -> None:
    run_id, (first, second) = two_branches()

    slow = Actor(partial(deliver, first), stop_after=PASSED_ON).reach()
    cancel = Actor(partial(cancel_run, run_id)).wait_until_blocked()
    slow.go().result()
    cancel.result()
    world.deliver()

    assert deliver(second) == (200, "stale")
    run = world.finish(run_id)
    branches = WorkflowRun.objects.filter(parent=run).order_by("branch")
    assert run.status == "cancelled"
    assert [b.status for b in branches] == ["completed", "cancelled"]
