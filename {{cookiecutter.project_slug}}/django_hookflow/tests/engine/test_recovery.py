"""Dead letters, the sweeper, the heartbeat, and the cleanup."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError
from django.core.management import call_command
from django.db import DatabaseError
from django.db import DataError
from django.db import Error
from django.db import IntegrityError
from django.db import InterfaceError
from django.db import OperationalError
from django.db import ProgrammingError
from django.db import connection

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import clock
from django_hookflow import engine
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.conf import conf
from django_hookflow.dlq import DeadLetterEntry
from django_hookflow.exceptions import AlreadyReplayed
from django_hookflow.exceptions import LeaseLost
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import WorkflowError
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.models import Event
from django_hookflow.models import WorkflowRun
from django_hookflow.operations import maintenance
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World
from django_hookflow.tests.engine.illness import read_only
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.memory import post
from django_hookflow.workflows import registry
from django_hookflow.workflows.decorator import WorkflowWrapper


def out(command: str, *arguments: str, **options: Any) -> str:
    stream = StringIO()
    call_command(command, *arguments, stdout=stream, **options)
    return stream.getvalue()


def test_a_failure_makes_one_dead_letter_and_no_message_more(
    every: World,
) -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise TimeoutError("no answer")

    @workflow
    def failing(ctx: WorkflowContext) -> None:
        ctx.step.run("charge", fail)

    run = every.finish(failing.trigger({"n": 1}))

    letter = DeadLetterEntry.objects.get()
    assert len(calls) == 4
    assert (letter.run_id, letter.workflow_id) == (run.run_id, "failing")
    assert letter.error_type == run.error_type == "TimeoutError"
    assert letter.error_message == run.error_message
    assert letter.payload == {
        "data": {"n": 1},
        "root_id": run.run_id,
        "completed_steps": {},
    }
    assert str(letter) == f"failing {run.run_id}"
    assert (memory_transport().waiting, memory_transport().dead) == ([], [])


def test_a_replay_continues_after_the_completed_steps(every: World) -> None:
    calls: list[str] = []
    mended: list[bool] = []
    keys: list[str] = []

    def ship() -> str:
        calls.append("ship")
        if not mended:
            raise ValueError("no address")
        return "shipped"

    def skip() -> None:
        calls.append("skip")
        raise ValueError("stays failed")

    @workflow
    def order(ctx: WorkflowContext) -> Any:
        paid = ctx.step.run("charge", lambda: calls.append("charge") or 5)
        try:
            ctx.step.run("skip", skip)
        except WorkflowError:
            ctx.step.run("instead", calls.append, "instead")
        ctx.step.sleep("nap", 60)
        keys.append(ctx.idempotency_key("ship"))
        return [paid, ctx.step.run("ship", ship)]

    first = every.finish(order.trigger(run_id="order-1"))
    mended.append(True)
    letter = DeadLetterEntry.objects.get()
    again = letter.replay()
    run = every.finish(again)

    assert first.status == "failed"
    assert (run.status, run.result) == ("completed", [5, "shipped"])
    assert calls == ["charge", "skip", "instead", "ship", "ship"]
    assert set(keys) == {"order-1:ship"}
    letter.refresh_from_db()
    assert (letter.is_replayed, letter.replayed_as) == (True, again)


def test_a_dead_letter_is_replayed_once(every: World) -> None:
    @workflow
    def failing(ctx: WorkflowContext) -> None:
        raise ValueError("no")

    every.finish(failing.trigger(run_id="r1"))
    letter = DeadLetterEntry.objects.get()
    again = letter.replay()

    with pytest.raises(AlreadyReplayed) as caught:
        letter.replay()

    assert str(caught.value) == (
        f"The dead letter of run 'r1' was already replayed as {again!r}. "
        "Look at that run."
    )
    assert WorkflowRun.objects.count() == 2


def waiting_when_fixed(mended: list[bool]) -> WorkflowWrapper:
    @workflow
    def order(ctx: WorkflowContext) -> Any:
        first = ctx.step.wait_for_event("first", "payment")
        if not mended:
            raise ValueError("no")
        return [first, ctx.step.wait_for_event("second", "payment")]

    return order


def test_a_replay_has_the_events_that_its_run_did_not_consume(
    every: World,
) -> None:
    mended: list[bool] = []
    run_id = waiting_when_fixed(mended).trigger()
    for number in (1, 2):
        send_event("payment", number, run_id=run_id)
    every.deliver()
    send_event("payment", 3, run_id=run_id)
    mended.append(True)

    run = every.finish(DeadLetterEntry.objects.get().replay())

    assert (run.status, run.result) == ("completed", [1, 2])
    assert Event.objects.filter(consumed_at=None).get().run == run


def test_an_event_for_a_failed_run_reaches_the_last_of_its_replays(
    every: World,
) -> None:
    mended: list[bool] = []
    run_id = waiting_when_fixed(mended).trigger()
    send_event("payment", 1, run_id=run_id)
    every.deliver()
    between = DeadLetterEntry.objects.get().replay()
    every.deliver()
    mended.append(True)
    last = DeadLetterEntry.objects.get(run_id=between).replay()
    every.deliver()
    assert every.run_of(last).status == "waiting"

    is_new = send_event("payment", 2, run_id=run_id, event_id="e2")
    again = send_event("payment", 2, run_id=between, event_id="e2")

    assert (is_new, again) == (True, False)
    assert every.finish(last).result == [1, 2]


def test_a_letter_without_its_run_says_so(every: World) -> None:
    mended: list[bool] = []
    order = waiting_when_fixed(mended)
    order.trigger(run_id="order-1")
    send_event("payment", 1, run_id="order-1")
    every.deliver()
    WorkflowRun.objects.all().delete()
    mended.append(True)
    order.trigger(run_id="order-1")

    letter = DeadLetterEntry.objects.get()
    with pytest.raises(RunNotFound):
        letter.replay()

    # The younger one of this id is another run.
    assert letter.payload == {}
    assert not DeadLetterEntry.objects.get().is_replayed
    assert WorkflowRun.objects.count() == 1


def test_a_dead_letter_without_its_workflow_says_so(every: World) -> None:
    @workflow
    def gone(ctx: WorkflowContext) -> None:
        raise ValueError("no")

    every.finish(gone.trigger(run_id="r1"))
    registry.unregister("gone")

    with pytest.raises(WorkflowNotFound):
        DeadLetterEntry.objects.get().replay()


def test_a_lost_message_is_sent_again_by_the_sweeper(every: World) -> None:
    @workflow
    def sleeper(ctx: WorkflowContext) -> str:
        ctx.step.sleep("nap", "1h")
        return "woken"

    run_id = sleeper.trigger()
    memory_transport().waiting.clear()
    every.advance("61s")
    assert out("hookflow_sweep") == (
        "Sent again for 1 overdue run; the oldest has been due for 0:01:01.\n"
    )
    every.deliver()
    assert every.run_of(run_id).status == "waiting"

    memory_transport().waiting.clear()
    every.advance("1h")
    assert out("hookflow_sweep") == ""
    every.advance("61s")
    assert maintenance.sweep() == 1
    assert every.finish(run_id).result == "woken"


def test_the_sweeper_sends_less_and_less_often(world: World) -> None:
    @workflow
    def never(ctx: WorkflowContext) -> None: ...

    never.trigger()
    rung: list[int] = []
    for minute in range(5 * 60):
        if maintenance.sweep():
            rung.append(minute)
        world.advance("1m")

    assert rung[:7] == [1, 2, 4, 8, 16, 32, 64]
    assert rung[7:] == [124, 184, 244]
    ids = {m.delivery.token for m in memory_transport().waiting}
    repeats = [m.delivery.repeat for m in memory_transport().waiting]
    assert len(ids) == 1
    assert len(set(repeats)) == len(repeats)


def test_the_sweeper_revives_a_run_whose_worker_died(every: World) -> None:
    deaths: list[int] = []

    def die_once() -> str:
        if not deaths:
            deaths.append(1)
            raise Died
        return "alive"

    @workflow
    def dying(ctx: WorkflowContext) -> str:
        return ctx.step.run("work", die_once)

    run_id = dying.trigger()
    message = memory_transport().waiting.pop().delivery
    with pytest.raises(Died):
        engine.advance(message)

    assert maintenance.sweep() == 0
    every.advance("91s")
    assert maintenance.sweep() == 1
    assert every.finish(run_id).result == "alive"


def test_a_long_step_keeps_its_lease(every: World, settings: Any) -> None:
    settings.DJANGO_HOOKFLOW_LEASE = 0.3
    until: list[datetime] = []
    never = threading.Event()

    def long() -> None:
        run = WorkflowRun.objects.get()
        assert run.lease_until is not None
        until.append(run.lease_until)
        every.advance("1s")
        for _ in range(1200):  # a minute
            run.refresh_from_db()
            if run.lease_until > until[0]:
                until.append(run.lease_until)
                return
            never.wait(0.05)

    @workflow
    def slow(ctx: WorkflowContext) -> None:
        ctx.step.run("long", long)

    run = every.finish(slow.trigger())

    assert run.status == "completed"
    assert until[1] == until[0] + timedelta(seconds=1)


def old_runs(world: World) -> None:
    @workflow
    def fine(ctx: WorkflowContext) -> None:
        ctx.step.run("a", str)

    @workflow
    def failing(ctx: WorkflowContext) -> None:
        raise ValueError("no")

    @workflow
    def open_run(ctx: WorkflowContext) -> None:
        ctx.step.wait_for_event("paid", "payment")

    send_event("nobody", match="x")
    world.advance("1s")
    for run_id in ("fine-1", "fine-2"):
        fine.trigger(run_id=run_id)
    failing.trigger(run_id="failed-1")
    failing.trigger(run_id="failed-2")
    open_run.trigger(run_id="open-1")
    world.deliver()
    DeadLetterEntry.objects.get(run_id="failed-1").replay()
    world.deliver()
    DeadLetterEntry.objects.filter(is_replayed=False).exclude(
        run_id="failed-2"
    ).delete()


def test_cleanup_counts_age_from_the_end_and_keeps_what_is_open(
    every: World,
) -> None:
    old_runs(every)
    every.advance("8d")
    WorkflowRun.objects.filter(run_id="fine-2").update(completed_at=every.now)

    text = out("cleanup_workflows", days_old=7)

    assert text == (
        "Deleted 3 runs finished before 2026-01-02 00:00 UTC "
        "(1 completed, 2 failed).\n"
        "Deleted 1 events that no run waited for.\n"
        "Deleted 1 dead letters already replayed.\n"
        "Kept 1 dead letters that are not replayed.\n"
    )
    left = set(WorkflowRun.objects.values_list("run_id", flat=True))
    assert left == {"fine-2", "open-1", "failed-2"}
    assert [x.run_id for x in DeadLetterEntry.objects.all()] == ["failed-2"]
    assert Event.objects.count() == 0


def test_cleanup_keeps_the_events_that_an_open_run_may_come_to(
    every: World,
) -> None:
    @workflow
    def slow(ctx: WorkflowContext) -> Any:
        ctx.step.sleep("nap", "60d")
        return ctx.step.wait_for_event("paid", "payment", match="order-1")

    send_event("payment", "of another", match="order-0")
    every.advance("1s")
    run_id = slow.trigger()
    every.deliver()
    send_event("payment", "in time", match="order-1")
    every.pass_time("31d")

    text = out("cleanup_workflows", "--workflows-only")

    assert text.endswith("Deleted 1 events that no run waited for.\n")
    assert every.finish(run_id, "90d").result == "in time"
    every.advance("31d")
    send_event("payment", "too late", match="order-1")
    every.advance("31d")
    out("cleanup_workflows")
    assert not Event.objects.exists()


def test_cleanup_by_default_keeps_thirty_days(every: World) -> None:
    old_runs(every)
    every.advance("30d")

    assert "Deleted 0 runs" in out("cleanup_workflows")
    every.advance("1s")
    assert "Deleted 4 runs" in out("cleanup_workflows")


def test_a_dry_run_says_the_lines_of_the_real_run(every: World) -> None:
    old_runs(every)
    every.advance("8d")

    text = out("cleanup_workflows", "--dry-run", "--days-old", "7")

    assert text == (
        "Would delete 4 runs finished before 2026-01-02 00:00 UTC "
        "(2 completed, 2 failed).\n"
        "Would delete 1 events that no run waited for.\n"
        "Would delete 1 dead letters already replayed.\n"
        "Kept 1 dead letters that are not replayed.\n"
        "Nothing was deleted. Run again without --dry-run to delete.\n"
    )
    assert WorkflowRun.objects.count() == 6


@pytest.mark.parametrize(
    ("flag", "runs", "letters"),
    [("--dlq-only", 6, 1), ("--workflows-only", 2, 2)],
)
def test_cleanup_of_one_kind_leaves_the_other(
    every: World, flag: str, runs: int, letters: int
) -> None:
    old_runs(every)
    every.advance("31d")

    out("cleanup_workflows", flag)

    assert WorkflowRun.objects.count() == runs
    assert DeadLetterEntry.objects.count() == letters


def test_cleanup_deletes_in_batches_and_shows_progress(world: World) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    WorkflowRun.objects.bulk_create(
        WorkflowRun(
            run_id=str(n),
            workflow_id="old",
            data={},
            status="completed",
            created_at=world.now,
            completed_at=world.now,
        )
        for n in range(501)
    )
    world.advance("31d")
    stream = Terminal()

    call_command("cleanup_workflows", "--workflows-only", stdout=stream)

    runs = "runs finished before 2026-01-02 00:00 UTC"
    assert stream.getvalue() == (
        f"\r\x1b[K500 of 501 {runs} …"
        f"\r\x1b[K501 of 501 {runs} …"
        f"\r\x1b[KDeleted 501 {runs} (501 completed).\n"
        "\r\x1b[KDeleted 0 events that no run waited for.\n"
    )


def test_cleanup_refuses_a_negative_age() -> None:
    with pytest.raises(CommandError, match="Invalid --days-old -1"):
        call_command("cleanup_workflows", "--days-old", "-1")


def test_a_letter_is_replayed_by_its_own_workflow_alone(every: World) -> None:
    @workflow
    def failing(ctx: WorkflowContext) -> None:
        raise ValueError("no")

    @workflow
    def other(ctx: WorkflowContext) -> None: ...

    every.finish(failing.trigger(run_id="r1"))

    with pytest.raises(
        ValueError, match=r"'failing', not of 'other'"
    ) as caught:
        other.replay(DeadLetterEntry.objects.get())

    assert str(caught.value) == (
        "The dead letter of run 'r1' is of the workflow 'failing', not of "
        "'other'. Call letter.replay(), which finds its workflow."
    )
    assert not DeadLetterEntry.objects.get().is_replayed


@contextmanager
def failing(what: str, error: Error) -> Iterator[list[str]]:
    """Make statements that contain `what` fail; yield those that did."""
    failed: list[str] = []

    def execute(
        execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if what in sql:
            failed.append(sql)
            raise error
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield failed


INSERT = "INSERT INTO django_hookflow_stepexecution"
FULL = OperationalError("database or disk is full")


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        (INSERT, FULL),
        (INSERT, InterfaceError("connection already closed")),
        (INSERT, ProgrammingError("no such table")),
        (INSERT, DatabaseError("database disk image is malformed")),
        ("CAST(executed_at", FULL),
        ("completed_at =", FULL),
    ],
    ids=["full", "closed", "no table", "damaged", "read", "commit"],
)
def test_a_journal_that_cannot_be_written_is_no_crash(
    world: World, statement: str, error: Error
) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> str:
        ctx.step.sleep("nap", 1)
        return ctx.step.run("work", str)

    run_id = working.trigger()
    world.pass_time("0s")
    with failing(statement, error) as failed:
        for _ in range(60):
            world.pass_time("1m")
            maintenance.sweep()
    ill = world.run_of(run_id)
    for _ in range(60):
        world.pass_time("1m")
        maintenance.sweep()

    assert len(failed) > conf.DJANGO_HOOKFLOW_MAX_CRASHES
    assert (ill.status, ill.crashes) == ("running", 0)
    assert ill.error_message == (
        f"The journal could not be written: {error}. The run goes on when "
        "the database can be written to again."
    )
    well = world.run_of(run_id)
    assert (well.status, well.error_message) == ("completed", "")


def test_a_read_only_database_has_messages_come_again(world: World) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> str:
        return ctx.step.run("work", str)

    run_id = working.trigger()
    message = memory_transport().waiting[0].delivery
    unknown = replace(message, workflow_id="of-yesterday")
    answers = []
    for one in (message, unknown):
        with read_only():
            answers.append(post(one))
    untouched = world.run_of(run_id)

    assert [answer.status_code for answer in answers] == [503, 503]
    assert [answer.headers["Retry-After"] for answer in answers] == ["1", "1"]
    assert (untouched.status, untouched.deliveries) == ("pending", 0)
    world.deliver()
    assert world.run_of(run_id).status == "completed"


def test_a_database_that_becomes_read_only_in_a_step_is_no_crash(
    world: World,
) -> None:
    with ExitStack() as stack:

        @workflow
        def working(ctx: WorkflowContext) -> str:
            ctx.step.run("first", str)
            if not ended:
                stack.enter_context(read_only())
            return ctx.step.run("second", lambda: "done")

        ended: list[int] = []
        run_id = working.trigger()
        message = memory_transport().waiting[0].delivery
        assert post(message).status_code == 503
        ended.append(1)
    world.advance("31s")
    maintenance.sweep()
    run = world.finish(run_id)

    assert (run.status, run.result, run.crashes) == ("completed", "done", 0)


@contextmanager
def refusing(error: Error, result: str | None = None) -> Iterator[None]:
    """Make the database refuse a result, or all, as a constraint might."""

    def execute(
        execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if "completed_at =" in sql and result in (None, *params):
            raise error
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield


@pytest.mark.parametrize(
    "error",
    [DataError("too long"), IntegrityError("check failed")],
    ids=["data", "integrity"],
)
def test_an_outcome_that_the_database_refuses_fails_the_run(
    world: World, error: Error
) -> None:
    calls: list[int] = []

    @workflow
    def working(ctx: WorkflowContext) -> str:
        ctx.step.run("work", calls.append, 1)
        return "refused"

    with refusing(error, '"refused"'):
        run = world.finish(working.trigger(run_id="order-1"))

    assert (run.status, run.crashes, len(calls)) == ("failed", 0, 1)
    assert run.error_type == "OutcomeRefused"
    assert run.error_message == (
        "The outcome of run 'order-1' cannot be written: "
        f"{type(error).__name__}: {error}. Another attempt would be refused "
        "too, so the run has failed. Fix what the database names, and "
        "replay the dead letter."
    )
    assert world.finish(DeadLetterEntry.objects.get().replay()).status == (
        "completed"
    )
    assert len(calls) == 1


def test_a_letter_that_cannot_be_replayed_says_so_and_can_be_again(
    world: World,
) -> None:
    calls: list[int] = []

    def divide() -> float:
        calls.append(1)
        return 1 / (len(calls) - 1)

    @workflow
    def failing_once(ctx: WorkflowContext) -> None:
        ctx.step.run("first", str)
        ctx.step.run("second", divide)

    run_id = failing_once.trigger()
    world.finish(run_id)
    letter = DeadLetterEntry.objects.get(run_id=run_id)
    with failing(INSERT, FULL), pytest.raises(OperationalError, match="full"):
        letter.replay()
    run = world.finish(letter.replay())

    assert (run.status, len(calls)) == ("completed", 2)


def test_a_lease_that_cannot_be_given_back_is_when_the_database_is_well(
    world: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_LEASE = 3000  # no beat for a while
    given_back = threading.Event()

    @workflow
    def working(ctx: WorkflowContext) -> str:
        return ctx.step.run("work", str)

    run_id = working.trigger()
    message = memory_transport().waiting[0].delivery
    with (
        failing(INSERT, FULL),
        failing('UPDATE "django_hookflow_workflowrun"', FULL),
    ):
        assert post(message).status_code == 503
        assert world.run_of(run_id).lease_token != ""
    settings.DJANGO_HOOKFLOW_LEASE = 0.3
    for _ in range(1200):  # a minute
        if world.run_of(run_id).lease_token == "":
            break
        given_back.wait(0.05)

    assert world.run_of(run_id).lease_token == ""
    world.advance("1h")
    assert post(message).status_code == 200
    assert world.run_of(run_id).status == "completed"


def test_deaths_are_counted_across_an_ill_database(
    world: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_MAX_CRASHES = 2

    def die() -> None:
        raise Died

    @workflow
    def deadly(ctx: WorkflowContext) -> None:
        if next(is_ill):
            ctx.step.run("work", str)
        ctx.step.run("die", die)

    is_ill = iter((False, True, False))
    run_id = deadly.trigger()
    message = memory_transport().waiting[0].delivery
    for _ in range(3):
        with failing(INSERT, FULL), suppress(Died, LeaseLost):
            engine.advance(message)
        world.advance("31s")
    engine.advance(message)

    assert world.run_of(run_id).error_type == "WorkerCrashed"


def test_a_step_recorded_before_a_death_resets_the_failures(
    world: World,
) -> None:
    passes: list[str] = []

    def end_as(name: str) -> None:
        passes.append(name)
        if name == "dies":
            raise Died

    @workflow(retry=RetryPolicy(retries=1))
    def unlucky(ctx: WorkflowContext) -> str:
        if passes:
            ctx.step.run("work", str)
        if len(passes) == 1:
            end_as("dies")
        if len(passes) < 3:
            end_as("fails")
            raise ConnectionError("away")
        return "done"

    run_id = unlucky.trigger()
    world.deliver()
    world.advance("1s")
    message = memory_transport().waiting[0].delivery
    with pytest.raises(Died):
        engine.advance(message)
    world.advance("31s")

    assert world.finish(run_id).result == "done"
    assert passes == ["fails", "dies", "fails"]


def test_the_heart_beats_before_the_lease_ends(
    world: World, settings: Any
) -> None:
    # A beat is due after 6 s, and may be late by 12.
    settings.DJANGO_HOOKFLOW_LEASE = 18
    lease = timedelta(seconds=18)
    ends: list[datetime] = []
    never = threading.Event()

    def long() -> None:
        run = WorkflowRun.objects.get()
        while len(ends) < 2:
            run.refresh_from_db()
            assert run.lease_until is not None
            if run.lease_until not in ends:
                ends.append(run.lease_until)
            never.wait(0.05)

    @workflow
    def slow(ctx: WorkflowContext) -> None:
        ctx.step.run("long", long)

    slow.trigger()
    with clock.source(partial(datetime.now, UTC)):
        world.deliver()

    first, second = ends
    assert first - lease < second - lease < first  # renewed while it held


def test_an_append_that_found_no_lease_ends_the_delivery(
    world: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_DELIVERY_BUDGET = 1000
    executed: list[str] = []

    def first() -> None:
        executed.append("first")
        if len(executed) == 1:
            # Another worker, whose clock is ahead, takes the run over.
            world.advance("31s")
            assert post(message).status_code == 200
            world.advance(timedelta(seconds=-31))

    @workflow
    def two(ctx: WorkflowContext) -> None:
        ctx.step.run("first", first)
        ctx.step.run("second", executed.append, "second")

    run_id = two.trigger()
    message = memory_transport().waiting[0].delivery

    assert post(message).status_code == 503
    assert executed == ["first", "first", "second"]
    assert world.run_of(run_id).status == "completed"


def test_a_database_that_refuses_every_outcome_raises_its_own_error(
    world: World,
) -> None:
    error = IntegrityError("check failed")

    @workflow
    def working(ctx: WorkflowContext) -> str:
        return "refused"

    working.trigger(run_id="order-1")
    delivery = memory_transport().waiting[0].delivery
    with refusing(error), pytest.raises(IntegrityError):
        engine.advance(delivery)

    assert world.run_of("order-1").status == "running"
    world.advance(conf.DJANGO_HOOKFLOW_LEASE)
    assert world.finish("order-1").result == "refused"
