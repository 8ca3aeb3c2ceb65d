"""`ctx.step.until`: polls that are one row."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import StepTimeout
from django_hookflow.exceptions import WorkflowError
from django_hookflow.testing.world import World


def answers(*values: Any) -> Any:
    """Return a function that gives these, one at each call, and raises."""
    left: Iterator[Any] = iter(values)

    def ask() -> Any:
        value = next(left)
        if isinstance(value, BaseException):
            raise value
        return value

    return ask


def test_it_asks_until_the_answer_is_true(every: World) -> None:
    asked: list[timedelta] = []
    began = every.now
    ask = answers(None, 0, "", {"paid": True})

    def look() -> Any:
        asked.append(every.now - began)
        return ask()

    @workflow
    def polling(ctx: WorkflowContext) -> Any:
        return ctx.step.until("paid", look, every="30s")

    run = every.finish(polling.trigger())

    assert run.result == {"paid": True}
    assert asked == [timedelta(seconds=30 * n) for n in range(4)]
    step = run.step_executions.get()
    assert (step.kind, step.status, step.deliveries) == (
        "until",
        "completed",
        4,
    )
    assert (run.deliveries, run.messages) == (4, 4)


def test_it_gives_up_after_its_timeout_and_a_last_look(every: World) -> None:
    asked: list[timedelta] = []
    began = every.now

    def look() -> None:
        asked.append(every.now - began)

    @workflow
    def polling(ctx: WorkflowContext) -> Any:
        try:
            ctx.step.until("paid", look, every="40m", timeout="1h")
        except StepTimeout as late:
            return late.error

    run = every.finish(polling.trigger())

    minutes = [when / timedelta(minutes=1) for when in asked]
    assert minutes == [0, 40, 60]
    assert run.result == "not satisfied since 2026-01-01 00:00:00"
    assert run.step_executions.get().timed_out


def test_a_failed_look_is_retried_and_the_attempts_start_over(
    every: World,
) -> None:
    away = ConnectionError("away")
    ask = answers(away, None, away, None, away, "there")

    @workflow(retry=RetryPolicy(retries=1))
    def polling(ctx: WorkflowContext) -> Any:
        return ctx.step.until("there", ask)

    assert every.finish(polling.trigger()).result == "there"


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (ValueError("no such account"), "ValueError"),
        (SystemExit(3), "SystemExit"),
    ],
)
def test_a_look_that_always_fails_fails_the_step(
    every: World, fault: BaseException, name: str
) -> None:
    @workflow
    def polling(ctx: WorkflowContext) -> Any:
        if ctx.step.options(optional=True).until("a", answers(fault)) is None:
            try:
                ctx.step.until("b", answers(fault))
            except WorkflowError as error:
                return error.error_type

    assert every.finish(polling.trigger()).result == name


def test_an_answer_that_cannot_be_recorded_fails_the_step(
    every: World,
) -> None:
    @workflow
    def polling(ctx: WorkflowContext) -> Any:
        return ctx.step.until("module", lambda: sys)

    run = every.finish(polling.trigger())

    assert (run.status, run.error_type) == ("failed", "SerializationError")
    assert run.deliveries == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fn": 4711}, "was given 4711, which is not a function"),
        ({"every": 0.5}, "polls every 0.5. Each poll is a message"),
        ({"every": "soon"}, "cannot wait for 'soon'"),
        ({"timeout": "late"}, "cannot wait for 'late'"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_asked(
    every: World, given: dict[str, Any], said: str
) -> None:
    asked: list[int] = []
    arguments: dict[str, Any] = {"fn": lambda: asked.append(1)} | given

    @workflow(retry=RetryPolicy(retries=0))
    def polling(ctx: WorkflowContext) -> Any:
        return ctx.step.until("x", **arguments)

    run = every.finish(polling.trigger())

    assert run.status == "failed"
    assert said in run.error_message
    assert asked == []


def test_a_call_that_takes_longer_than_the_pause_is_not_too_late(
    every: World,
) -> None:
    asked: list[int] = []

    def look() -> bool:
        asked.append(1)
        every.advance("2m")
        return len(asked) == 3

    @workflow
    def polling(ctx: WorkflowContext) -> Any:
        return ctx.step.until("slow", look, every="1m", timeout="1h")

    run = every.finish(polling.trigger())

    assert (run.status, run.result, len(asked)) == ("completed", True, 3)
