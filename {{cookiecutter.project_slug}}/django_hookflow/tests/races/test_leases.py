"""Two workers and one run."""

from __future__ import annotations

import threading
from datetime import datetime
from datetime import timedelta

import pytest
from pytest_django import Settings

from django_hookflow import WorkflowContext
from django_hookflow import clock
from django_hookflow import workflow
from django_hookflow.conf import conf
from django_hookflow.exceptions import AlreadyReplayed
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.maintenance import sweep
from django_hookflow.testing.world import World
from django_hookflow.tests.races.actors import Actor
from django_hookflow.tests.races.actors import deliver
from django_hookflow.tests.races.actors import stand
from django_hookflow.tests.races.actors import wait_until
from django_hookflow.transports.memory import memory_transport

APPEND = "INSERT INTO django_hookflow_stepexecution"


@pytest.fixture
def calls() -> list[str]:
    return []


def charging(calls: list[str]) -> str:
    """Trigger a run with one atomic step; returns its id."""

    @workflow
    def charging(ctx: WorkflowContext) -> None:
        ctx.step.options(atomic=True).run("charge", calls.append, "charge")

    return charging.trigger()


def test_a_claim_waits_for_an_append_that_has_begun(
    world: World, calls: list[str]
) -> None:
    run_id = charging(calls)
    message = memory_transport().waiting[0]

    old = Actor(lambda: deliver(message), stop_after=APPEND).reach()
    world.advance(conf.DJANGO_HOOKFLOW_LEASE)
    new = Actor(lambda: deliver(message)).wait_until_blocked()
    answers = old.go().result(), new.result()

    # Both wait for the row now, and either may get it next.
    assert answers in (
        ((503, "lease lost"), (200, "completed")),
        ((200, "completed"), (200, "stale")),
    )
    assert world.finish(run_id).status == "completed"
    assert calls == ["charge"]


def test_without_its_row_lock_a_committed_step_would_run_again(
    world: World, calls: list[str]
) -> None:
    charging(calls)
    message = memory_transport().waiting[0]

    old = Actor(
        lambda: deliver(message),
        stop_after=APPEND,
        rewrite=lambda sql: sql.replace("FOR SHARE", ""),
    ).reach()
    world.advance(conf.DJANGO_HOOKFLOW_LEASE)
    new = Actor(lambda: deliver(message)).wait_until_blocked()
    old.go()
    old.result()
    new.result()

    # Blocked by the entry's own key, after it had executed the step.
    assert calls == ["charge", "charge"]


def test_an_append_finds_that_its_lease_was_taken(
    world: World, calls: list[str]
) -> None:
    def work() -> None:
        calls.append("work")
        if len(calls) == 1:
            stand()

    @workflow
    def working(ctx: WorkflowContext) -> None:
        ctx.step.run("work", work)

    run_id = working.trigger()
    message = memory_transport().waiting[0]
    slow = Actor(lambda: deliver(message)).reach()
    world.advance(conf.DJANGO_HOOKFLOW_LEASE)
    fast = Actor(lambda: deliver(message)).result()

    assert fast == (200, "completed")
    assert slow.go().result() == (503, "lease lost")
    assert calls == ["work", "work"]
    assert StepExecution.objects.get().attempts == 2
    assert world.run_of(run_id).status == "completed"


@pytest.mark.parametrize("turn", range(5))
def test_one_of_many_deliveries_at_once_has_the_run(
    world: World, calls: list[str], turn: int
) -> None:
    everyone = threading.Barrier(4)
    others_answered = threading.Semaphore(0)

    def work() -> None:
        """Last until all others have had their answer."""
        calls.append("work")
        for _ in range(everyone.parties - 1):
            assert others_answered.acquire(timeout=60)

    @workflow
    def working(ctx: WorkflowContext) -> None:
        ctx.step.run("work", work)

    working.trigger()
    message = memory_transport().waiting[0]

    def race() -> tuple[int, str]:
        everyone.wait()
        answer = deliver(message)
        others_answered.release()
        return answer

    actors = [Actor(race) for _ in range(everyone.parties)]
    answers = sorted(actor.result() for actor in actors)

    assert answers == [(200, "completed")] + [(409, "busy")] * 3
    assert calls == ["work"]


def test_a_heartbeat_keeps_the_lease_of_a_long_step(
    world: World, settings: Settings, calls: list[str]
) -> None:
    settings.DJANGO_HOOKFLOW_LEASE = 1

    def work() -> None:
        """Last for three leases, and no longer than the next renewal."""
        calls.append("work")
        for _ in range(4):
            world.advance("0.9s")
            wait_until(lambda: left() == timedelta(seconds=1))

    def left() -> timedelta:
        return lease_until() - world.now

    @workflow
    def working(ctx: WorkflowContext) -> None:
        ctx.step.run("work", work)

    run_id = working.trigger()
    message = memory_transport().waiting[0]
    memory_transport().reset()

    def lease_until() -> datetime:
        run = WorkflowRun.objects.get(run_id=run_id)
        assert run.lease_until is not None
        return run.lease_until

    worker = Actor(lambda: deliver(message))
    wait_until(lambda: calls)
    answers = set()
    while worker.is_alive():
        answers.add(deliver(message))

    assert worker.result() == (200, "completed")
    assert (409, "busy") in answers
    assert answers <= {(409, "busy"), (200, "stale")}
    assert calls == ["work"]
    run = WorkflowRun.objects.get()
    assert (run.deliveries, run.crashes) == (1, 0)


def test_a_claim_waits_for_the_sweeper_and_neither_is_lost(
    world: World, calls: list[str]
) -> None:
    run_id = charging(calls)
    message = memory_transport().waiting.pop()
    world.advance("1h")

    sweeper = Actor(sweep, stop_after="FOR UPDATE SKIP LOCKED").reach()
    worker = Actor(lambda: deliver(message)).wait_until_blocked()
    sweeper.go()

    assert (sweeper.result(), worker.result()) == (1, (200, "completed"))
    assert [deliver(late) for late in memory_transport().waiting] == [
        (200, "stale")
    ]
    assert calls == ["charge"]
    assert world.run_of(run_id).messages == 2


def test_two_sweepers_send_once_for_each_run(
    world: World, calls: list[str]
) -> None:
    charging(calls)
    memory_transport().reset()
    world.advance("1h")

    first = Actor(sweep, stop_after="FOR UPDATE SKIP LOCKED").reach()
    second = Actor(sweep).result()

    assert (first.go().result(), second) == (1, 0)
    assert len(memory_transport().waiting) == 1


def test_a_dead_letter_replayed_twice_at_once_begins_one_run(
    world: World,
) -> None:
    def fail() -> None:
        raise ValueError("broken")

    @workflow
    def failing(ctx: WorkflowContext) -> None:
        ctx.step.run("fail", fail)

    world.finish(failing.trigger())
    letter = DeadLetterEntry.objects.get()

    first = Actor(letter.replay, stop_after="FOR UPDATE").reach()
    second = Actor(DeadLetterEntry.objects.get().replay).wait_until_blocked()
    begun = first.go().result()

    with pytest.raises(AlreadyReplayed, match=begun):
        second.result()
    assert WorkflowRun.objects.count() == 2
    assert clock.now() == world.now
