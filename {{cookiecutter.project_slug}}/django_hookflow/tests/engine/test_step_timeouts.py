"""`options(timeout=…)`: steps that take too long."""

from __future__ import annotations

import threading
from datetime import datetime
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from django.db import connection

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import engine
from django_hookflow import heartbeat
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import StepTimeout
from django_hookflow.models import Event
from django_hookflow.models import WorkflowRun
from django_hookflow.retry import is_retryable_error
from django_hookflow.testing.world import World
from django_hookflow.tests.serving import serving
from django_hookflow.transports.memory import memory_transport

TWICE = RetryPolicy(retries=1)


@pytest.mark.parametrize("timeout", [60, "1m", timedelta(minutes=1)])
def test_a_step_that_took_too_long_is_tried_again(
    every: World, timeout: Any
) -> None:
    durations = ["61s", "60s"]

    def work() -> str:
        taken = durations.pop(0)
        every.advance(taken)
        return f"done in {taken}"

    @workflow
    def slow(ctx: WorkflowContext) -> Any:
        return ctx.step.options(timeout=timeout).run("slow", work)

    run = every.finish(slow.trigger())

    assert run.result == "done in 60s"
    assert run.step_executions.get().attempts == 2


def test_one_that_always_does_fails_with_a_timeout(every: World) -> None:
    caught: list[StepTimeout] = []

    @workflow(retry=TWICE)
    def slow(ctx: WorkflowContext) -> Any:
        limited = ctx.step.options(timeout="2s")
        try:
            limited.run("slow", every.advance, "3s")
        except StepTimeout as late:
            caught.append(late)
            assert is_retryable_error(late)
        ctx.step.sleep("nap", 1)
        return str(caught[-1])

    run = every.finish(slow.trigger())

    assert run.result == (
        "Step 'slow' was tried 2 times and failed: "
        "StepTimeout: took 3 s, and its timeout is 2 s"
    )
    step = run.step_executions.get(step_id="slow")
    assert (step.status, step.timed_out, step.result) == ("failed", True, None)
    causes = [type(late.__cause__) for late in caught]
    assert causes == [StepTimeout, type(None)]


def test_the_run_says_meanwhile_what_it_is_tried_again_for(
    every: World,
) -> None:
    @workflow
    def slow(ctx: WorkflowContext) -> Any:
        ctx.step.options(timeout=1).run("slow", every.advance, 2)

    run_id = slow.trigger()
    every.deliver()

    run = every.run_of(run_id)
    assert (run.status, run.error_type, run.error_message) == (
        "waiting",
        "StepTimeout",
        "took 2 s, and its timeout is 1 s",
    )


def test_the_rows_of_an_atomic_step_go_with_its_result(every: World) -> None:
    durations = [61, 1]

    def write() -> None:
        Event.objects.create(
            name="row", event_id="1", data=None, created_at=every.now
        )
        every.advance(durations.pop(0))

    @workflow
    def slow(ctx: WorkflowContext) -> Any:
        ctx.step.options(timeout="1m", atomic=True).run("write", write)

    run = every.finish(slow.trigger())

    assert (run.status, durations) == ("completed", [])
    assert Event.objects.count() == 1


def test_an_error_of_its_own_says_more_than_the_timeout(every: World) -> None:
    def work() -> None:
        every.advance("2s")
        raise PermanentError("no such account")

    @workflow
    def slow(ctx: WorkflowContext) -> Any:
        ctx.step.options(timeout=1).run("slow", work)

    run = every.finish(slow.trigger())

    assert (run.status, run.error_type) == ("failed", "PermanentError")
    assert run.deliveries == 1


@pytest.mark.parametrize(
    "timeout", [0, -1, "soon", [], "0s", float("nan"), 1e12]
)
def test_a_timeout_that_is_no_time_is_refused(
    every: World, timeout: Any
) -> None:
    begun: list[int] = []

    @workflow
    def slow(ctx: WorkflowContext) -> Any:
        ctx.step.options(timeout=timeout).run("slow", begun.append, 1)

    run = every.finish(slow.trigger())

    assert (run.error_type, run.error_message, begun) == (
        "MisusedStep",
        f"Step 'slow' has the timeout {timeout!r}. Write seconds above 0 as "
        'a number, or text such as "30s" or "1h30m".',
        [],
    )


def test_the_heartbeat_stops_at_the_timeout(every: World) -> None:
    leases: list[datetime | None] = []

    def beat() -> None:
        heartbeat._renew_all()
        leases.append(WorkflowRun.objects.get().lease_until)

    def work() -> datetime:
        began = every.now
        for _ in range(3):
            every.advance("25s")
            beat()
        every.now = began
        return began

    @workflow
    def slow(ctx: WorkflowContext) -> Any:
        began = ctx.step.options(timeout="1m").run("slow", work)
        ctx.step.run("not limited", beat)
        return began

    began = every.finish(slow.trigger()).result

    lease = timedelta(seconds=30)
    first = datetime.fromisoformat(began["$datetime"])
    assert leases == [
        first + timedelta(seconds=25) + lease,
        first + timedelta(seconds=50) + lease,
        first + timedelta(seconds=50) + lease,
        first + lease,
    ]


def test_the_next_delivery_takes_over_from_a_step_that_hangs(
    world: World,
) -> None:
    begun: list[str] = []

    @workflow
    def hanging(ctx: WorkflowContext) -> Any:
        return ctx.step.options(timeout="1m").run("hang", work)

    def work() -> str:
        begun.append("again" if begun else "first")
        if begun == ["first"]:
            world.advance("2m")
            heartbeat._renew_all()
            other = threading.Thread(target=take_over)
            other.start()
            other.join()
            return "first"
        return "again"

    def take_over() -> None:
        try:
            engine.advance(message)
        finally:
            connection.close()

    run_id = hanging.trigger()
    message = memory_transport().waiting[0].delivery
    world.deliver()

    run = world.run_of(run_id)
    assert (run.status, run.result, begun) == (
        "completed",
        "again",
        ["first", "again"],
    )


class Silent(BaseHTTPRequestHandler):
    """Never answers, until the test is over."""

    over: threading.Event

    def do_GET(self) -> None:
        self.over.wait(60)

    def log_message(self, *args: Any) -> None: ...


@pytest.mark.parametrize(
    ("option", "own", "expected"),
    [
        (0.1, None, "StepTimeout"),
        ("0.1s", 30, "StepTimeout"),
        (60, 0.1, "ReadTimeout"),
        (None, 0.1, "ReadTimeout"),
    ],
)
def test_it_bounds_a_call(
    every: World, option: Any, own: float | None, expected: str
) -> None:
    Silent.over = threading.Event()

    @workflow
    def asking(ctx: WorkflowContext) -> None:
        limited = ctx.step.options(
            timeout=option, retry=RetryPolicy(retries=0)
        )
        limited.call("ask", f"{url}/", timeout=own)

    with serving(Silent) as url:
        run = every.finish(asking.trigger())
        Silent.over.set()

    assert run.error_type == expected
    assert run.error_message.startswith(
        f"Step 'ask' was tried once and failed: {expected}: GET {url}/"
    )


def test_a_step_of_another_kind_has_no_timeout(every: World) -> None:
    @workflow
    def sleeping(ctx: WorkflowContext) -> None:
        ctx.step.options(timeout=5).sleep("nap", 1)

    run = every.finish(sleeping.trigger())

    assert run.error_message == (
        "Step 'nap' is a sleep step, which knows no option 'timeout'. Leave "
        "it out, or use it with run and call."
    )
