"""Dead letters, the sweeper, the heartbeat, and cleaning up."""

from __future__ import annotations

import threading
from datetime import datetime
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError
from django.core.management import call_command

from django_hookflow import WorkflowContext
from django_hookflow import engine
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.dlq import DeadLetterEntry
from django_hookflow.exceptions import AlreadyReplayed
from django_hookflow.exceptions import WorkflowError
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.models import Event
from django_hookflow.models import WorkflowRun
from django_hookflow.transports.memory import MemoryTransport
from django_hookflow.workflows import registry
from django_hookflow.workflows.decorator import WorkflowWrapper
from tests.world import Died
from tests.world import World


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
        "completed_steps": [],
    }
    assert str(letter) == f"failing {run.run_id}"
    assert (MemoryTransport.waiting, MemoryTransport.dead) == ([], [])


def test_a_replay_goes_on_behind_the_completed_steps(every: World) -> None:
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
        f"The dead letter of run 'r1' was replayed already, as {again!r}. "
        "Look at that run."
    )
    assert WorkflowRun.objects.count() == 2


def waiting_when_mended(mended: list[bool]) -> WorkflowWrapper:
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
    run_id = waiting_when_mended(mended).trigger()
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
    run_id = waiting_when_mended(mended).trigger()
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


def test_a_run_that_has_the_id_of_one_before_it_has_its_own_events(
    every: World,
) -> None:
    mended: list[bool] = []
    order = waiting_when_mended(mended)
    order.trigger(run_id="order-1")
    send_event("payment", "old", run_id="order-1")
    every.deliver()
    WorkflowRun.objects.all().delete()
    every.advance("1s")
    mended.append(True)
    order.trigger(run_id="order-1")
    send_event("payment", "early", run_id="order-1")

    replay = DeadLetterEntry.objects.get().replay()
    send_event("payment", "late", run_id="order-1")

    assert every.finish("order-1").result == ["early", "late"]
    assert every.run_of(replay).status == "waiting"


def test_a_dead_letter_without_its_workflow_says_so(every: World) -> None:
    @workflow
    def gone(ctx: WorkflowContext) -> None:
        raise ValueError("no")

    every.finish(gone.trigger(run_id="r1"))
    registry._workflows.pop("gone")

    with pytest.raises(WorkflowNotFound):
        DeadLetterEntry.objects.get().replay()


def test_a_lost_message_is_rung_again_by_the_sweeper(every: World) -> None:
    @workflow
    def sleeper(ctx: WorkflowContext) -> str:
        ctx.step.sleep("nap", "1h")
        return "woken"

    run_id = sleeper.trigger()
    MemoryTransport.waiting.clear()
    every.advance("61s")
    assert out("hookflow_sweep") == (
        "Rang again for 1 overdue run; the oldest has been due for 0:01:01.\n"
    )
    every.deliver()
    assert every.run_of(run_id).status == "waiting"

    MemoryTransport.waiting.clear()
    every.advance("1h")
    assert out("hookflow_sweep") == ""
    every.advance("61s")
    assert engine.sweep() == 1
    assert every.finish(run_id).result == "woken"


def test_the_sweeper_rings_less_and_less_often(world: World) -> None:
    @workflow
    def never(ctx: WorkflowContext) -> None: ...

    never.trigger()
    rung: list[int] = []
    for minute in range(5 * 60):
        if engine.sweep():
            rung.append(minute)
        world.advance("1m")

    assert rung[:7] == [1, 2, 4, 8, 16, 32, 64]
    assert rung[7:] == [124, 184, 244]
    ids = {m.delivery.token for m in MemoryTransport.waiting}
    rings = [m.delivery.ring for m in MemoryTransport.waiting]
    assert len(ids) == 1
    assert len(set(rings)) == len(rings)


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
    message = MemoryTransport.waiting.pop().delivery
    with pytest.raises(Died):
        engine.advance(message)

    assert engine.sweep() == 0
    every.advance("91s")
    assert engine.sweep() == 1
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
        "Deleted 4 runs finished before 2026-01-02 00:00 UTC "
        "(1 completed, 3 failed).\n"
        "Deleted 1 events nobody waited for.\n"
        "Deleted 1 dead letters already replayed.\n"
        "Kept 1 dead letters that nobody has replayed.\n"
    )
    left = set(WorkflowRun.objects.values_list("run_id", flat=True))
    assert left == {"fine-2", "open-1"}
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

    assert text.endswith("Deleted 1 events nobody waited for.\n")
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
    assert "Deleted 5 runs" in out("cleanup_workflows")


def test_a_dry_run_says_the_lines_of_the_real_run(every: World) -> None:
    old_runs(every)
    every.advance("8d")

    text = out("cleanup_workflows", "--dry-run", "--days-old", "7")

    assert text == (
        "Would delete 5 runs finished before 2026-01-02 00:00 UTC "
        "(2 completed, 3 failed).\n"
        "Would delete 1 events nobody waited for.\n"
        "Would delete 1 dead letters already replayed.\n"
        "Kept 1 dead letters that nobody has replayed.\n"
        "Nothing was deleted. Run again without --dry-run to delete.\n"
    )
    assert WorkflowRun.objects.count() == 6


@pytest.mark.parametrize(
    ("flag", "runs", "letters"),
    [("--dlq-only", 6, 1), ("--workflows-only", 1, 2)],
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
        "\r\x1b[KDeleted 0 events nobody waited for.\n"
    )


def test_cleanup_refuses_a_negative_age() -> None:
    with pytest.raises(CommandError, match="must be 0 to 36500"):
        call_command("cleanup_workflows", "--days-old", "-1")
