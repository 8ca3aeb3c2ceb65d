"""Runs that continue as new ones while others speak to them."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import cancel_run
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World
from django_hookflow.tests.races.actors import Actor
from django_hookflow.tests.races.actors import deliver
from django_hookflow.tests.races.actors import stand
from django_hookflow.transports.memory import Message
from django_hookflow.transports.memory import memory_transport

CLAIM = "RETURNING id"
COMMIT = "completed_at = %s"


def begin_child(world: World) -> Message:
    """Return the message of a child that is about to continue as new."""

    @workflow(workflow_id="child")
    def child(ctx: WorkflowContext) -> Any:
        if "second" not in ctx.data:
            ctx.continue_as_new({"second": True})
        return ctx.step.wait_for_event("wait", "paid")

    @workflow(workflow_id="parent")
    def parent(ctx: WorkflowContext) -> Any:
        return ctx.step.invoke("child", child)

    parent.trigger(run_id="parent")
    deliver(memory_transport().waiting.pop())
    return memory_transport().waiting.pop()


def children() -> list[WorkflowRun]:
    return list(WorkflowRun.objects.filter(workflow_id="child").order_by("pk"))


def test_a_parent_cancelled_meanwhile_cancels_the_new_run(
    world: World,
) -> None:
    message = begin_child(world)

    worker = Actor(lambda: deliver(message), stop_after=COMMIT).reach()
    canceller = Actor(lambda: cancel_run("parent")).wait_until_blocked()
    worker.go()

    assert worker.result() == (200, "completed")
    canceller.result()
    world.finish("parent")
    statuses = [run.status for run in children()]
    assert statuses == ["completed", "cancelled"]


def test_a_run_whose_parent_is_being_cancelled_does_not_continue(
    world: World,
) -> None:
    message = begin_child(world)

    def slow() -> None:
        with transaction.atomic():
            cancel_run("parent")
            stand()

    worker = Actor(lambda: deliver(message), stop_after=CLAIM).reach()
    canceller = Actor(slow).reach()
    worker.go().wait_until_blocked()
    canceller.go().result()

    assert worker.result() == (200, "cancelled")
    assert [run.status for run in children()] == ["cancelled"]


def test_an_event_sent_meanwhile_reaches_the_new_run(world: World) -> None:
    message = begin_child(world)
    (old,) = children()

    worker = Actor(lambda: deliver(message), stop_after=COMMIT).reach()
    sender = Actor(
        lambda: send_event("paid", 1, run_id=old.run_id)
    ).wait_until_blocked()
    worker.go()

    assert (worker.result(), sender.result()) == ((200, "completed"), True)
    assert world.finish("parent").result == 1
