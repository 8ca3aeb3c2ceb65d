"""Tracers, and the records of ctx.log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from django_hookflow import WorkflowContext
from django_hookflow import tracing
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RetryableError
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.testing.world import World
from django_hookflow.tests.engine.watching import Watcher
from django_hookflow.tracing import Tracer
from django_hookflow.workflows import registry
from django_hookflow.workflows.decorator import WorkflowWrapper

WATCHER = "django_hookflow.tests.engine.watching.Watcher"
SECOND = "django_hookflow.tests.engine.watching.Second"


@pytest.fixture
def seen(settings: Settings) -> Iterator[list[str]]:
    """The spans of a tracer, in the order of their ends."""
    settings.DJANGO_HOOKFLOW_TRACERS = [WATCHER]
    yield Watcher.seen
    Watcher.seen.clear()


def test_a_tracer_sees_each_delivery_and_each_executed_step(
    every: World, seen: list[str]
) -> None:
    @workflow
    def shop(ctx: WorkflowContext) -> None:
        ctx.step.run("reserve", str)
        ctx.step.sleep("nap", 60)
        ctx.step.run("charge", str)

    every.finish(shop.trigger())

    assert seen == [
        "watcher: run reserve ended",
        "watcher: sleep nap StepWaiting",
        "watcher: delivery 1 of trace-0 ended",
        "watcher: sleep nap ended",
        "watcher: run charge ended",
        "watcher: delivery 2 of trace-0 ended",
    ]


def test_a_tracer_sees_attempts_that_fail(
    every: World, seen: list[str]
) -> None:
    def fail() -> None:
        raise RetryableError("not now")

    @workflow
    def failing(ctx: WorkflowContext) -> None:
        with suppress(WorkflowError):
            ctx.step.run("charge", fail)

    every.finish(failing.trigger())

    assert [line for line in seen if "delivery" not in line] == [
        *["watcher: run charge StepWaiting"] * 3,
        "watcher: run charge WorkflowError",
    ]


def test_a_replayed_letter_carries_the_trace_of_its_replay(
    every: World, seen: list[str]
) -> None:
    @workflow
    def failing(ctx: WorkflowContext) -> None:
        raise PermanentError("no")

    every.finish(failing.trigger())
    letter = DeadLetterEntry.objects.get()

    run = every.run_of(letter.replay())

    assert run.trace == '{"watcher": "trace-0"}'


def test_several_tracers_stand_in_each_other(
    every: World, seen: list[str], settings: Settings
) -> None:
    settings.DJANGO_HOOKFLOW_TRACERS = [WATCHER, SECOND]

    @workflow
    def one(ctx: WorkflowContext) -> None:
        ctx.step.run("a", str)

    every.finish(one.trigger())
    with tracing.job("sweep", timedelta(minutes=1)):
        pass

    assert seen == [
        "second: run a ended",
        "watcher: run a ended",
        "second: delivery 1 of trace-1 ended",
        "watcher: delivery 1 of trace-0 ended",
        "second: job sweep 0:01:00 ended",
        "watcher: job sweep 0:01:00 ended",
    ]


@pytest.mark.parametrize("tracers", [[], ["django_hookflow.tracing.Tracer"]])
def test_without_a_tracer_that_looks_nothing_is_kept(
    every: World, settings: Settings, tracers: list[str]
) -> None:
    settings.DJANGO_HOOKFLOW_TRACERS = tracers

    @workflow
    def one(ctx: WorkflowContext) -> None:
        ctx.step.run("a", str)

    run = every.finish(one.trigger())
    with tracing.job("sweep", timedelta(minutes=1)):
        pass

    assert (run.status, run.trace) == ("completed", "")
    assert (tracing.get_tracer() is None) == (not tracers)


def test_the_present_work_is_known_while_it_lasts(every: World) -> None:
    def here() -> list[Any]:
        work = tracing.current()
        step = work and work.step
        return [
            work and work.run.run_id,
            step and step.step_id,
            step and step.attempts,
        ]

    @workflow
    def asking(ctx: WorkflowContext) -> Any:
        return [here(), ctx.step.run("a", here), here()]

    run = every.finish(asking.trigger(run_id="r"))

    assert run.result == [
        ["r", None, None],
        ["r", "a", 1],
        ["r", None, None],
    ]
    assert here() == [None, None, None]


def test_what_ctx_log_says_appears_once(
    every: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    @workflow(workflow_id="talkative")
    def talkative(ctx: WorkflowContext) -> None:
        ctx.log.info("begun")
        ctx.step.run("a", lambda: ctx.log.info("in %s", "a"))
        ctx.log.info("after a")
        ctx.step.sleep("nap", 60)
        ctx.log.info("after nap")
        ctx.step.wait_for_event("wait", "never", timeout=60, match="m")

    def failing(ctx: WorkflowContext) -> None:
        with suppress(WorkflowError):
            talkative.function(ctx)
        ctx.log.warning("the end")

    every.finish(workflow(failing).trigger())

    assert own(caplog) == [
        "begun", "in a", "after a", "after nap", "the end",
    ]  # fmt: skip


def test_one_step_in_each_delivery_says_the_same(
    every: World, caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    caplog.set_level(logging.INFO)
    settings.DJANGO_HOOKFLOW_DELIVERY_BUDGET = 0

    @workflow
    def counting(ctx: WorkflowContext) -> None:
        for n in range(3):
            ctx.log.info("before %d", n)
            ctx.step.run(f"s{n}", lambda n=n: ctx.log.info("in %d", n))
            ctx.log.info("after %d", n)

    every.finish(counting.trigger())

    assert own(caplog) == [
        line
        for n in range(3)
        for line in (f"before {n}", f"in {n}", f"after {n}")
    ]


def test_a_step_that_a_deploy_put_first_is_heard(
    every: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    deployed = False

    @workflow
    def changing(ctx: WorkflowContext) -> None:
        if deployed:
            ctx.step.run("new", lambda: ctx.log.info("in new"))
        ctx.step.sleep("nap", 60)
        ctx.log.info("rested")

    run_id = changing.trigger()
    every.deliver()
    deployed = True
    every.finish(run_id)

    assert own(caplog) == ["in new", "rested"]


def test_lines_after_a_step_that_a_deploy_removed_are_logged(
    every: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def before(ctx: WorkflowContext) -> None:
        ctx.log.info("begun")
        ctx.step.run("a", str)
        ctx.step.sleep("nap", 60)

    def after(ctx: WorkflowContext) -> None:
        ctx.log.info("begun")
        ctx.step.run("a", str)
        ctx.log.info("instead of the nap")
        ctx.step.run("new", lambda: ctx.log.info("in new"))
        ctx.log.info("the end")

    run_id = deployed(before).trigger()
    every.deliver()
    deployed(after)
    every.finish(run_id)

    assert own(caplog) == ["begun", "instead of the nap", "in new", "the end"]


def test_lines_after_a_removed_step_are_logged_without_another_step(
    every: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def before(ctx: WorkflowContext) -> None:
        ctx.step.run("a", str)
        ctx.step.sleep("nap", 60)

    def after(ctx: WorkflowContext) -> None:
        ctx.log.info("not again")
        ctx.step.run("a", str)
        ctx.log.warning("the end of %s", ctx.run_id)

    run_id = deployed(before).trigger(run_id="r")
    every.deliver()
    deployed(after)
    run = every.finish(run_id)

    assert run.status == "completed"
    assert own(caplog) == ["the end of r"]
    record = next(r for r in caplog.records if r.levelname == "WARNING")
    assert record.funcName == "after"


def deployed(function: Callable[[WorkflowContext], Any]) -> WorkflowWrapper:
    """Declare the workflow "changing" with new code."""
    registry.unregister("changing")
    return workflow(workflow_id="changing")(function)


def test_a_logger_that_is_off_is_off(
    every: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "workflows.quiet")

    @workflow
    def quiet(ctx: WorkflowContext) -> bool:
        ctx.log.info("unheard")
        return ctx.log.isEnabledFor(logging.INFO)

    run = every.finish(quiet.trigger())

    assert (run.result, own(caplog)) == (False, [])


def own(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("workflows.")
    ]


def test_a_tracer_of_nothing_is_a_tracer() -> None:
    carrier: dict[str, str] = {}

    Tracer().carry(carrier)

    assert carrier == {}
