"""Callers whose transactions overlap."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import RunNotFound
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Event
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World
from django_hookflow.tests.races.actors import Actor
from django_hookflow.tests.races.actors import deliver
from django_hookflow.tests.races.actors import stand
from django_hookflow.transports.memory import memory_transport
from django_hookflow.workflows.decorator import WorkflowWrapper

COMMIT = "completed_at = %s"

BY_RUN = {"run_id": "run"}
BY_MATCH = {"match": "order-1"}


def waiting() -> WorkflowWrapper:
    @workflow
    def waiting(ctx: WorkflowContext) -> str:
        received: str = ctx.step.wait_for_event(
            "paid", "payment", match="order-1"
        )
        return received

    waiting.trigger(run_id="run")
    return waiting


def send(address: dict[str, str]) -> bool:
    return send_event("payment", "cash", event_id="payment-1", **address)


@pytest.mark.parametrize("address", [BY_RUN, BY_MATCH], ids=["run", "match"])
def test_an_event_sent_while_its_run_suspends_wakes_it(
    world: World, address: dict[str, str]
) -> None:
    waiting()
    message = memory_transport().waiting.pop()

    worker = Actor(lambda: deliver(message), stop_after=COMMIT).reach()
    sender = Actor(lambda: send(address)).wait_until_blocked()
    worker.go()

    assert (worker.result(), sender.result()) == ((200, "waiting"), True)
    run = world.finish("run")
    assert (run.status, run.result) == ("completed", "cash")
    assert (run.messages, run.deliveries) == (2, 2)


@pytest.mark.parametrize("address", [BY_RUN, BY_MATCH], ids=["run", "match"])
def test_a_run_that_suspends_waits_for_an_event_on_its_way(
    world: World, address: dict[str, str]
) -> None:
    waiting()
    message = memory_transport().waiting.pop()

    def slow() -> None:
        with transaction.atomic():
            send(address)
            stand()

    sender = Actor(slow).reach()
    worker = Actor(lambda: deliver(message)).wait_until_blocked()
    sender.go().result()

    assert worker.result() == (200, "waiting")
    run = world.finish("run")
    assert (run.status, run.result) == ("completed", "cash")
    assert (run.messages, run.deliveries) == (2, 2)


def broadcast() -> int:
    return send_event("payment", "cash", broadcast=True)


def test_a_broadcast_reaches_a_run_that_suspends_first(world: World) -> None:
    waiting()
    message = memory_transport().waiting.pop()

    worker = Actor(lambda: deliver(message), stop_after=COMMIT).reach()
    sender = Actor(broadcast).wait_until_blocked()
    worker.go()

    assert (worker.result(), sender.result()) == ((200, "waiting"), 1)
    assert world.finish("run").result == "cash"


def test_a_broadcast_does_not_reach_a_run_that_suspends_after_it(
    world: World,
) -> None:
    waiting()
    message = memory_transport().waiting.pop()

    def slow() -> int:
        with transaction.atomic():
            reached = broadcast()
            stand()
        return reached

    sender = Actor(slow).reach()
    worker = Actor(lambda: deliver(message)).wait_until_blocked()

    assert sender.go().result() == 0
    assert worker.result() == (200, "waiting")
    assert (Event.objects.count(), broadcast()) == (0, 1)
    assert world.finish("run").result == "cash"


@pytest.mark.parametrize("address", [BY_RUN, BY_MATCH], ids=["run", "match"])
def test_an_event_that_is_rolled_back_was_never_there(
    world: World, address: dict[str, str]
) -> None:
    waiting()
    message = memory_transport().waiting.pop()

    def regret() -> None:
        with transaction.atomic():
            send(address)
            stand()
            transaction.set_rollback(True)

    sender = Actor(regret).reach()
    worker = Actor(lambda: deliver(message)).wait_until_blocked()
    sender.go().result()

    assert worker.result() == (200, "waiting")
    assert memory_transport().waiting == []
    assert send(address)
    assert world.finish("run").result == "cash"


@pytest.mark.parametrize("address", [BY_RUN, BY_MATCH], ids=["run", "match"])
def test_an_event_sent_twice_at_once_is_one(
    world: World, address: dict[str, str]
) -> None:
    waiting()

    def slow() -> bool:
        with transaction.atomic():
            is_new = send(address)
            stand()
        return is_new

    first = Actor(slow).reach()
    second = Actor(lambda: send(address)).wait_until_blocked()
    first.go()

    assert (first.result(), second.result()) == (True, False)
    assert Event.objects.count() == 1
    assert world.finish("run").result == "cash"


def failed(world: World) -> DeadLetterEntry:
    mended: list[bool] = []

    @workflow
    def mendable(ctx: WorkflowContext) -> str:
        if not mended:
            mended.append(True)
            raise ValueError("no")
        received: str = ctx.step.wait_for_event("paid", "payment")
        return received

    mendable.trigger(run_id="run")
    world.deliver()
    return DeadLetterEntry.objects.get()


def test_an_event_on_its_way_to_a_failed_run_is_handed_to_its_replay(
    world: World,
) -> None:
    letter = failed(world)

    def slow() -> None:
        with transaction.atomic():
            send(BY_RUN)
            stand()

    sender = Actor(slow).reach()
    replayer = Actor(letter.replay).wait_until_blocked()
    sender.go().result()

    assert world.finish(replayer.result()).result == "cash"


def test_an_event_sent_while_its_run_is_replayed_reaches_the_replay(
    world: World,
) -> None:
    letter = failed(world)

    replayer = Actor(
        letter.replay, stop_after='UPDATE "django_hookflow_event"'
    ).reach()
    sender = Actor(lambda: send(BY_RUN)).wait_until_blocked()
    replayer.go()

    assert sender.result()
    assert world.finish(replayer.result()).result == "cash"


def erase() -> str:
    said = io.StringIO()
    call_command("hookflow_erase", "run", "--open", stdout=said)
    return said.getvalue()


def assert_nothing_is_left() -> None:
    for model in (WorkflowRun, StepExecution, Event, DeadLetterEntry):
        assert not model._default_manager.exists()


def test_a_run_that_is_erased_while_it_is_replayed_goes_with_its_replay(
    world: World,
) -> None:
    letter = failed(world)
    send(BY_RUN)

    replayer = Actor(letter.replay, stop_after="FOR UPDATE").reach()
    eraser = Actor(erase).wait_until_blocked()
    replayer.go()

    assert replayer.result()
    assert eraser.result() == (
        "Deleted 2 runs, 0 steps, 1 events and 1 dead letters of 'run'.\n"
    )
    assert_nothing_is_left()


def test_a_letter_that_is_replayed_while_it_is_erased_is_gone(
    world: World,
) -> None:
    letter = failed(world)
    send(BY_RUN)

    eraser = Actor(erase, stop_after="FOR UPDATE").reach()
    replayer = Actor(letter.replay).wait_until_blocked()
    eraser.go()

    assert eraser.result().startswith("Deleted 1 runs")
    with pytest.raises(DeadLetterEntry.DoesNotExist):
        replayer.result()
    assert_nothing_is_left()


def test_a_run_that_is_erased_while_it_consumes_an_event(world: World) -> None:
    waiting()
    message = memory_transport().waiting.pop()
    send(BY_RUN)

    worker = Actor(
        lambda: deliver(message), stop_after="FOR UPDATE OF"
    ).reach()
    eraser = Actor(erase).wait_until_blocked()
    worker.go()

    # Both wait for the row then, and either may get it next.
    assert worker.result() in ((200, "completed"), (503, "lease lost"))
    assert eraser.result().startswith("Deleted 1 runs")
    assert_nothing_is_left()


def test_two_runs_that_wait_for_one_event_do_not_both_get_it(
    world: World,
) -> None:
    wrapper = waiting()
    wrapper.trigger(run_id="other")
    first, second = list(memory_transport().waiting)
    memory_transport().reset()
    send(BY_MATCH)

    slow = Actor(lambda: deliver(first), stop_after="FOR UPDATE OF").reach()
    fast = Actor(lambda: deliver(second)).result()

    assert fast == (200, "waiting")
    assert slow.go().result() == (200, "completed")
    assert world.finish("other").status == "waiting"
    assert send_event("payment", "card", match="order-1")
    assert world.finish("other").result == "card"


@pytest.mark.parametrize("rolls_back", [False, True])
def test_a_run_triggered_twice_at_once_is_one(
    world: World, rolls_back: bool
) -> None:
    @workflow
    def empty(ctx: WorkflowContext) -> str:
        return "done"

    def slow() -> None:
        with transaction.atomic():
            empty.trigger(data={"n": 1}, run_id="run")
            stand()
            transaction.set_rollback(rolls_back)

    first = Actor(slow).reach()
    second = Actor(lambda: empty.trigger(data={"n": 1}, run_id="run"))
    second.wait_until_blocked()
    first.go().result()

    assert second.result() == "run"
    assert WorkflowRun.objects.count() == 1
    assert len(memory_transport().waiting) == 1
    run = world.finish("run")
    assert (run.status, run.deliveries) == ("completed", 1)


def erase_run() -> str:
    call_command("hookflow_erase", "run", "--open", stdout=io.StringIO())
    return "erased"


def clean() -> str:
    call_command("cleanup_workflows", "--days-old=0", stdout=io.StringIO())
    return "cleaned"


@pytest.mark.parametrize("delete", [erase_run, clean])
def test_a_run_is_not_deleted_under_an_event_that_is_sent_to_it(
    world: World, delete: Callable[[], str]
) -> None:
    ended(world, delete)

    def slow() -> None:
        with transaction.atomic():
            send(BY_RUN)
            stand()

    sender = Actor(slow).reach()
    eraser = Actor(delete)
    if delete is erase_run:
        eraser.wait_until_blocked()
    else:  # it leaves the run out, until the next time
        eraser.result()
    sender.go().result()

    assert eraser.result()
    if delete is clean:
        assert Event.objects.count() == 1
        delete()
    assert (WorkflowRun.objects.count(), Event.objects.count()) == (0, 0)


@pytest.mark.parametrize("delete", [erase_run, clean])
def test_an_event_for_a_run_that_is_being_deleted_finds_none(
    world: World, delete: Callable[[], str]
) -> None:
    ended(world, delete)

    eraser = Actor(delete, stop_after="DELETE FROM").reach()
    sender = Actor(lambda: send(BY_RUN)).wait_until_blocked()
    eraser.go().result()

    with pytest.raises(RunNotFound):
        sender.result()
    assert Event.objects.count() == 0


def ended(world: World, delete: Callable[[], str]) -> None:
    """Make a run that cleanup may delete."""
    waiting()
    world.deliver()
    if delete is clean:
        send_event("payment", "cash", run_id="run")
        world.deliver()
        Event.objects.all().delete()
        world.advance("1d")
