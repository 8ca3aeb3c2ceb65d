"""The sweeper, the cleanup and the other commands that cron starts."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from io import StringIO
from threading import Timer
from typing import Any

import pytest
from django.core.management import CommandError
from django.core.management import call_command
from django.db import OperationalError
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import resolve
from pytest_django import Settings

from django_hookflow import WorkflowContext
from django_hookflow import clock
from django_hookflow import engine
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.delivery import Delivery
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Event
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.maintenance import SWEEP_BATCH
from django_hookflow.outcomes import Stale
from django_hookflow.persistence.retention import BATCH
from django_hookflow.testing.world import World
from django_hookflow.tests.engine.illness import read_only
from django_hookflow.tests.engine.watching import Watcher
from django_hookflow.tracing import Span
from django_hookflow.tracing import Tracer
from django_hookflow.transports import memory
from django_hookflow.transports.base import Transport
from django_hookflow.transports.base import task_url
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.signature import sign

Caplog = pytest.LogCaptureFixture


def out(command: str, *arguments: str, **options: Any) -> str:
    stream = StringIO()
    call_command(command, *arguments, stdout=stream, **options)
    return stream.getvalue()


def lose_runs(count: int) -> None:
    @workflow
    def lost(ctx: WorkflowContext) -> None: ...

    for _ in range(count):
        lost.trigger()


def test_the_sweeper_says_how_many_were_overdue_and_what_is_left(
    world: World,
) -> None:
    lose_runs(2)
    world.advance("1h")
    lose_runs(3)
    world.advance("2m")

    first = out("hookflow_sweep", limit=2)
    rest = out("hookflow_sweep", verbosity=2)
    none = out("hookflow_sweep", verbosity=2)

    assert first == (
        "Sent again for 2 overdue runs; the oldest has been due for "
        "1:02:00.\n3 more are overdue: run it again.\n"
    )
    assert rest == (
        "Sent again for 3 overdue runs; the oldest has been due for 1:02:00.\n"
    )
    assert none == "Sent again for 0 overdue runs.\n"


def test_the_sweeper_is_quiet_when_nothing_is_overdue(world: World) -> None:
    lose_runs(1)

    assert out("hookflow_sweep") == ""


def test_runs_that_the_sweeper_has_put_off_can_be_sent_for_now(
    world: World,
) -> None:
    lose_runs(2)
    world.advance("1h")
    out("hookflow_sweep")  # they do not move, so it puts them off
    world.advance("5m")
    lose_runs(1)

    put_off = out("hookflow_sweep", verbosity=2)
    now = out("hookflow_sweep", now=True)

    assert put_off == "Sent again for 0 overdue runs.\n"
    assert now == (
        "Sent again for 2 overdue runs; the oldest has been due for 1:05:00.\n"
    )


@pytest.mark.parametrize("command", ["hookflow_sweep", "cleanup_workflows"])
@pytest.mark.parametrize("every", ["0", "-1", "soon", "1e9", "nan"])
def test_a_time_that_cannot_be_waited_is_refused(
    command: str, every: str
) -> None:
    with pytest.raises(CommandError) as caught:
        call_command(command, f"--every={every}")

    assert str(caught.value) == (
        f"Error: argument --every: Invalid interval {every!r}, expected 1 to "
        "31536000 seconds"
    )


def test_a_sweep_of_no_runs_is_refused() -> None:
    with pytest.raises(CommandError, match="Invalid --limit 0, expected 1"):
        call_command("hookflow_sweep", "--limit", "0")


def test_a_signed_message_has_overdue_runs_swept(world: World) -> None:
    lose_runs(2)
    world.advance("5m")

    first = post("sweep")
    again = post("sweep")

    assert (first.status_code, first.json()) == (
        200,
        {"status": "done", "rung": 2, "left": 0, "oldest": 300.0},
    )
    assert again.json() == {
        "status": "done",
        "rung": 0,
        "left": 0,
        "oldest": 300.0,
    }


def test_a_sweep_by_message_ends_when_its_time_is_up(
    world: World, settings: Settings
) -> None:
    settings.DJANGO_HOOKFLOW_DELIVERY_BUDGET = 0
    lose_runs(SWEEP_BATCH + 2)
    world.advance("2m")

    answers = [post("sweep").json() for _ in range(3)]

    assert [(one["rung"], one["left"]) for one in answers] == [
        (SWEEP_BATCH, 2),
        (2, 0),
        (0, 0),
    ]


def test_a_signed_message_has_what_ended_long_ago_deleted(
    world: World, settings: Settings
) -> None:
    ended_runs(2)
    world.advance("8d")

    kept = post("cleanup")
    settings.DJANGO_HOOKFLOW_KEEP_DAYS = 7
    first = post("cleanup", b'{"every": 3600}')
    again = post("cleanup", b'{"every": 3600}')

    assert [one.json() for one in (kept, first, again)] == [
        {"status": "done", "runs": n, "events": 0, "letters": 0, "more": False}
        for n in (0, 2, 0)
    ]


@pytest.mark.parametrize("age", ["0", "-1", "true", '"7"', "1e400", "[]"])
def test_a_signed_message_cannot_choose_what_is_deleted(
    world: World, caplog: Caplog, age: str
) -> None:
    ended_runs(2)
    world.advance("8d")

    answer = post("cleanup", f'{{"days_old": {age}}}'.encode())

    assert answer.json()["runs"] == 0
    assert WorkflowRun.objects.count() == 2
    assert "DJANGO_HOOKFLOW_KEEP_DAYS is 30" in caplog.text


def test_a_cleanup_by_message_goes_on_in_the_next_one(
    world: World, settings: Settings
) -> None:
    settings.DJANGO_HOOKFLOW_DELIVERY_BUDGET = 0
    ended_runs(BATCH + 1)
    world.advance("31d")

    answers = [post("cleanup").json() for _ in range(3)]

    assert [(one["runs"], one["more"]) for one in answers] == [
        (BATCH, True),
        (1, False),
        (0, False),
    ]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "The body is not a task"),
        (b"[1]", "The body is not a task"),
        (b"[" * 9999, "The body is not a task"),
        (b'{"every": "often"}', "The body is not a task"),
    ],
)
def test_an_order_that_makes_no_sense_is_not_sent_again(
    world: World, caplog: Caplog, body: bytes, reason: str
) -> None:
    answer = post("cleanup", body)

    assert (answer.status_code, answer.json()) == (489, {"status": "refused"})
    assert answer.headers["Upstash-NonRetryable-Error"] == "true"
    assert reason in caplog.text


def test_an_unknown_task_is_not_sent_again(
    world: World, caplog: Caplog
) -> None:
    answer = post("backup")

    assert answer.status_code == 489
    assert (
        "Invalid task 'backup', expected one of ['sweep', 'cleanup']"
        in caplog.text
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"token": ""}, "(unsigned)"),
        ({"token": "e30.e30.e30"}, "(forged)"),
        ({"body": b'{"days_old": 0}'}, "(forged)"),
        ({"task": "sweep"}, "(forged)"),
        ({"late": "6m"}, "(expired)"),
        ({"body": b"x" * 12_000_000}, "(oversized)"),
    ],
)
def test_a_message_that_is_not_genuine_is_refused_and_does_nothing(
    world: World, caplog: Caplog, changed: dict[str, Any], reason: str
) -> None:
    ended_runs(1)
    world.advance("31d")
    sent = {
        "task": "cleanup",
        "body": b"{}",
        "token": sign(b"{}", task_url("cleanup")),
    }
    world.advance(changed.pop("late", "0s"))

    answer = deliver(**sent | changed)

    assert answer.json() == {"status": "refused"}
    assert answer.status_code in {401, 413}
    assert reason in caplog.text
    assert WorkflowRun.objects.count() == 1


@pytest.mark.parametrize("task", ["sweep", "cleanup"])
def test_a_task_is_asked_for_again_while_nothing_can_be_written(
    world: World, task: str
) -> None:
    ended_runs(1)
    lose_runs(1)
    world.advance("40d")

    with read_only():
        answer = post(task)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert post(task).status_code == 200


def test_maintenance_is_asked_for_by_post(world: World) -> None:
    assert Client().get("/hookflow/maintenance/sweep/").status_code == 405


def test_a_transport_without_http_takes_no_posts(
    world: World, settings: Settings, caplog: Caplog
) -> None:
    lose_runs(1)
    (message,) = memory_transport().due()
    settings.DJANGO_HOOKFLOW_TRANSPORT = f"{__name__}.Pigeon"

    answers = [post("sweep"), memory.post(message.delivery)]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert caplog.text.count("Pigeon does not receive messages by HTTP") == 2
    assert WorkflowRun.objects.get().status == "pending"


def test_each_batch_commits_by_itself_whatever_the_site_says(
    world: World, settings: Settings
) -> None:
    view = resolve("/hookflow/maintenance/cleanup/").func

    assert view._non_atomic_requests == {"default"}


def test_tracers_see_each_task_and_how_often_it_should_be_done(
    world: World, settings: Settings
) -> None:
    settings.DJANGO_HOOKFLOW_TRACERS = [
        "django_hookflow.tests.engine.watching.Watcher"
    ]

    out("hookflow_sweep")
    out("cleanup_workflows", "--dry-run")
    post("sweep", b'{"every": 300}')

    assert Watcher.seen == [
        "watcher: job hookflow-sweep 0:01:00 ended",
        "watcher: job cleanup-workflows 1 day, 0:00:00 ended",
        "watcher: job hookflow-sweep 0:05:00 ended",
    ]
    Watcher.seen.clear()


class Pigeon(Transport):
    def send(self, delivery: Delivery) -> None: ...


def ended_runs(count: int) -> None:
    WorkflowRun.objects.bulk_create(
        WorkflowRun(
            run_id=str(n),
            workflow_id="old",
            data={},
            status="completed",
            created_at=clock.now(),
            completed_at=clock.now(),
        )
        for n in range(count)
    )


def post(task: str, body: bytes = b"") -> HttpResponseBase:
    """Post the message that QStash sends by a schedule."""
    return deliver(task, body, sign(body, task_url(task)))


def deliver(task: str, body: bytes, token: str) -> HttpResponseBase:
    return Client().post(
        f"/hookflow/maintenance/{task}/",
        data=body,
        content_type="application/json",
        headers={"Upstash-Signature": token} if token else {},
    )


def personal_runs(world: World) -> str:
    """Make a failed run, its failed replay, and a run of another customer."""

    @workflow
    def order(ctx: WorkflowContext) -> None:
        ctx.step.run("reserve", str)
        ctx.step.wait_for_event("paid", "payment", match=ctx.run_id)
        raise ValueError("no")

    order.trigger({"email": "ada@example.com"}, run_id="order-1")
    send_event("payment", match="order-1")
    order.trigger(run_id="order-2")
    send_event("payment", run_id="order-2")
    world.deliver()
    replay = DeadLetterEntry.objects.get(run_id="order-1").replay()
    world.deliver()
    return replay


@pytest.mark.parametrize("named", ["order-1", "its replay"])
def test_all_of_a_run_and_its_replays_can_be_erased(
    world: World, named: str
) -> None:
    replay = personal_runs(world)
    run_id = replay if named == "its replay" else named

    would = out("hookflow_erase", run_id, "--dry-run")
    before = WorkflowRun.objects.count()
    done = out("hookflow_erase", run_id)

    numbers = f"2 runs, 4 steps, 1 events and 2 dead letters of {run_id!r}.\n"
    assert would == (
        f"Would delete {numbers}"
        "Nothing was deleted. Run again without --dry-run to delete.\n"
    )
    assert before == 3
    assert done == f"Deleted {numbers}"
    assert [run.run_id for run in WorkflowRun.objects.all()] == ["order-2"]
    assert [x.run_id for x in DeadLetterEntry.objects.all()] == ["order-2"]
    assert StepExecution.objects.count() == 2
    assert Event.objects.count() == 1


def test_a_dead_letter_can_be_erased_when_its_run_is_gone(
    world: World,
) -> None:
    personal_runs(world)
    WorkflowRun.objects.filter(run_id="order-2").delete()

    assert out("hookflow_erase", "order-2") == (
        "Deleted 0 runs, 0 steps, 0 events and 1 dead letters of 'order-2'.\n"
    )


def test_a_run_that_has_not_ended_is_erased_only_on_demand(
    world: World,
) -> None:
    lose_runs(1)
    run_id = WorkflowRun.objects.get().run_id
    message = memory_transport().waiting[0].delivery

    with pytest.raises(CommandError) as caught:
        call_command("hookflow_erase", run_id)
    kept = WorkflowRun.objects.count()
    out("hookflow_erase", run_id, "--open")

    assert str(caught.value) == (
        f"{run_id} of {run_id!r} has not ended, so nothing of it was deleted. "
        "Wait for its end, or add --open."
    )
    assert (kept, WorkflowRun.objects.count()) == (1, 0)
    assert engine.advance(message) == Stale()


def test_an_unknown_run_is_not_erased() -> None:
    with pytest.raises(CommandError) as caught:
        call_command("hookflow_erase", "order-9")

    assert str(caught.value) == (
        "Nothing is kept of a run 'order-9'. Is the id right?"
    )


class Talking(StringIO):
    """Sends this process a signal after a line with a word."""

    def __init__(self, word: str, number: int) -> None:
        super().__init__()
        self.word = word
        self.number = number

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.word in text:
            signal.raise_signal(self.number)
        return written


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_loop_ends_after_the_present_sweep(
    world: World, number: int
) -> None:
    lose_runs(3)
    world.advance("2m")
    before = signal.getsignal(number)
    stream = Talking("1 more", number)

    call_command("hookflow_sweep", every=3600, limit=1, stdout=stream)

    assert stream.getvalue() == (
        "Again every 3600 seconds until SIGTERM.\n"
        "Sent again for 1 overdue run; the oldest has been due for "
        "0:02:00.\n2 more are overdue: continuing.\n"
        "Sent again for 1 overdue run; the oldest has been due for "
        "0:02:00.\n1 more are overdue: continuing.\nStopped.\n"
    )
    assert signal.getsignal(number) is before


class Unlucky(Tracer):
    """Fails as without a database, then stops the command."""

    def job(self, name: str, every: timedelta) -> Span:
        signal.raise_signal(signal.SIGTERM)
        raise OperationalError("no route to host\n")


def test_a_loop_whose_database_is_away_says_so_and_goes_on(
    world: World, settings: Settings, caplog: Caplog
) -> None:
    settings.DJANGO_HOOKFLOW_TRACERS = [f"{__name__}.Unlucky"]

    text = out("cleanup_workflows", every=60)

    assert text == "Again every 60 seconds until SIGTERM.\nStopped.\n"
    assert caplog.messages == [
        "The database cannot be used, next try in 60 s: no route to host"
    ]


def test_a_loop_waits_between_two_times(world: World) -> None:
    stream = Talking("never", signal.SIGTERM)
    timer = Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    timer.start()

    call_command("hookflow_sweep", "--every=0.01", verbosity=2, stdout=stream)

    timer.join()
    lines = stream.getvalue().splitlines()
    assert set(lines[1:-1]) == {"Sent again for 0 overdue runs."}
    assert lines[-1] == "Stopped."


def test_counts_of_what_is_deleted_are_in_the_order_of_their_names(
    world: World,
) -> None:
    @workflow
    def ends(ctx: WorkflowContext) -> None:
        if ctx.data["fails"]:
            raise ValueError

    for fails in (True, False, True):
        ends.trigger({"fails": fails})
    world.deliver()
    for letter in DeadLetterEntry.objects.all():
        letter.replay()
    world.advance("31d")

    said = out("cleanup_workflows", dry_run=True)

    assert "(1 completed, 2 failed)" in said


def failed_twice(world: World) -> str:
    """Return the id of a failed replay; the rows of both runs are deleted."""

    @workflow
    def failing(ctx: WorkflowContext) -> None:
        raise ValueError("no")

    failing.trigger({"name": "Ada"}, run_id="order-ada")
    world.deliver()
    again = DeadLetterEntry.objects.get().replay()
    world.deliver()
    WorkflowRun.objects.all().delete()
    return again


@pytest.mark.parametrize("by_replay", [False, True])
def test_the_letter_of_a_replay_is_erased_when_the_runs_are_gone(
    world: World, by_replay: bool
) -> None:
    again = failed_twice(world)

    said = out("hookflow_erase", again if by_replay else "order-ada")

    assert "0 runs, 0 steps, 0 events and 2 dead letters" in said
    assert DeadLetterEntry.objects.count() == 0


def test_a_letter_of_another_family_is_not_erased(world: World) -> None:
    failed_twice(world)

    with pytest.raises(CommandError, match="Nothing is kept"):
        call_command("hookflow_erase", "order-bob")

    assert DeadLetterEntry.objects.count() == 2
