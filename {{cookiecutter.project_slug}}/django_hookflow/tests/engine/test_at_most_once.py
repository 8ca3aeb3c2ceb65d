"""`options(at_most_once=True)`: steps that never begin twice."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.db import connection

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import engine
from django_hookflow import workflow
from django_hookflow.exceptions import LeaseLost
from django_hookflow.exceptions import StepInterrupted
from django_hookflow.exceptions import StepTimeout
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import StepExecution
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport

INTERRUPTED = (
    "it began at 2026-01-01 00:00:00 and did not end; whether it had its "
    "effect is unknown"
)


def die_in(world: World) -> None:
    """Let the first delivery die, and its lease end."""
    message = memory_transport().waiting[0].delivery
    with pytest.raises(Died):
        engine.advance(message)
    world.advance("31s")


def test_a_step_that_ends_is_a_step_as_others_are(every: World) -> None:
    seen: list[tuple[str, int]] = []

    def pay() -> str:
        row = StepExecution.objects.get()
        seen.append((row.status, row.attempts))
        return "paid"

    @workflow
    def paying(ctx: WorkflowContext) -> Any:
        paid = ctx.step.options(at_most_once=True).run("pay", pay)
        ctx.step.sleep("nap", 1)
        return paid

    run = every.finish(paying.trigger())

    assert (run.result, seen) == ("paid", [("running", 1)])
    step = run.step_executions.get(step_id="pay")
    assert (step.status, step.attempts, step.deliveries) == ("completed", 1, 1)


def test_one_that_was_interrupted_is_not_begun_again(every: World) -> None:
    begun: list[int] = []

    def pay() -> None:
        begun.append(1)
        raise Died

    @workflow
    def paying(ctx: WorkflowContext) -> Any:
        try:
            ctx.step.options(at_most_once=True).run("pay", pay)
        except StepInterrupted as interrupted:
            ctx.step.sleep("nap", 1)
            return interrupted.error

    run_id = paying.trigger()
    die_in(every)
    run = every.finish(run_id)

    assert (run.result, begun) == (INTERRUPTED, [1])
    step = run.step_executions.get(step_id="pay")
    assert (step.status, step.error_type, step.attempts) == (
        "failed",
        "StepInterrupted",
        1,
    )


def test_a_worker_that_dies_before_its_end_is_written_counts_too(
    every: World,
) -> None:
    begun: list[int] = []

    def dying(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        if sql.startswith("INSERT") and "completed" in params:
            raise OperationalError("disk is full")
        return execute(sql, params, *rest)

    @workflow
    def paying(ctx: WorkflowContext) -> Any:
        once = ctx.step.options(at_most_once=True, optional=True)
        return once.run("pay", begun.append, 1)

    run_id = paying.trigger()
    with connection.execute_wrapper(dying), pytest.raises(LeaseLost):
        engine.advance(memory_transport().waiting[0].delivery)
    every.advance("31s")
    run = every.finish(run_id)

    assert (run.status, run.result, begun) == ("completed", None, [1])


def test_its_own_error_is_not_tried_again(every: World) -> None:
    begun: list[int] = []

    def pay() -> None:
        begun.append(1)
        raise ConnectionError("away")

    @workflow(retry=RetryPolicy(retries=5))
    def paying(ctx: WorkflowContext) -> Any:
        try:
            ctx.step.options(at_most_once=True).run("pay", pay)
        except WorkflowError as error:
            return type(error).__name__, error.error_type, error.attempts

    run = every.finish(paying.trigger())

    assert run.result == {"$tuple": ["WorkflowError", "ConnectionError", 1]}
    assert begun == [1]


def test_nor_is_its_timeout(every: World) -> None:
    begun: list[int] = []

    def pay() -> None:
        begun.append(1)
        every.advance("2m")

    @workflow
    def paying(ctx: WorkflowContext) -> Any:
        once = ctx.step.options(at_most_once=True, timeout="1m")
        try:
            once.run("pay", pay)
        except StepTimeout as late:
            return late.error

    run = every.finish(paying.trigger())

    assert run.result == "took 120 s, and its timeout is 60 s"
    assert begun == [1]


def test_a_call_is_made_at_most_once(every: World) -> None:
    @workflow
    def calling(ctx: WorkflowContext) -> Any:
        once = ctx.step.options(at_most_once=True)
        try:
            once.call("ask", "http://127.0.0.1:9")
        except WorkflowError as error:
            return error.error_type, error.attempts

    run = every.finish(calling.trigger())

    assert run.result == {"$tuple": ["ConnectError", 1]}
    assert run.deliveries == 1


def test_a_deploy_that_adds_the_option_begins_no_step_that_was_tried(
    every: World,
) -> None:
    begun: list[bool] = []

    def pay() -> None:
        begun.append(True)
        raise ConnectionError("away")

    @workflow
    def paying(ctx: WorkflowContext) -> Any:
        once = ctx.step.options(at_most_once=bool(begun))
        once.run("pay", pay)

    run = every.finish(paying.trigger())

    assert (run.status, run.error_type, begun) == (
        "failed",
        "StepInterrupted",
        [True],
    )


def test_a_deploy_that_removes_the_option_begins_the_step_again(
    every: World,
) -> None:
    begun: list[bool] = []

    def pay() -> str:
        begun.append(True)
        if len(begun) == 1:
            raise Died
        return "paid"

    @workflow
    def paying(ctx: WorkflowContext) -> Any:
        return ctx.step.options(at_most_once=not begun).run("pay", pay)

    run_id = paying.trigger()
    die_in(every)
    run = every.finish(run_id)

    step = run.step_executions.get()
    assert (run.result, step.attempts, step.deliveries) == ("paid", 2, 2)


def test_the_retry_of_a_crashed_run_does_not_begin_it_again(
    every: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_MAX_CRASHES = 1
    begun: list[int] = []

    def pay() -> None:
        begun.append(1)
        raise Died

    @workflow
    def paying(ctx: WorkflowContext) -> Any:
        ctx.step.options(at_most_once=True).run("pay", pay)

    run_id = paying.trigger()
    die_in(every)
    failed = every.finish(run_id)
    assert failed.error_type == "WorkerCrashed"
    run = every.finish(DeadLetterEntry.objects.get().replay())

    assert (run.status, run.error_type) == ("failed", "StepInterrupted")
    assert begun == [1]


def test_who_retries_its_failure_has_decided_to_begin_it_again(
    every: World,
) -> None:
    begun: list[int] = []

    def pay() -> str:
        begun.append(1)
        if len(begun) == 1:
            raise Died
        return "paid"

    @workflow
    def paying(ctx: WorkflowContext) -> Any:
        return ctx.step.options(at_most_once=True).run("pay", pay)

    run_id = paying.trigger()
    die_in(every)
    assert every.finish(run_id).error_type == "StepInterrupted"
    run = every.finish(DeadLetterEntry.objects.get().replay())

    assert (run.status, run.result) == ("completed", "paid")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"atomic": True},
            "Step 'pay' is at_most_once and atomic. An atomic step happens "
            "exactly once: leave one of the two out.",
        ),
        (
            {"retry": RetryPolicy()},
            "Step 'pay' is at_most_once and has a retry policy. It is never "
            "tried again: leave one of the two out.",
        ),
    ],
    ids=str,
)
def test_what_contradicts_it_is_refused(
    every: World, options: Any, said: str
) -> None:
    @workflow
    def paying(ctx: WorkflowContext) -> Any:
        ctx.step.options(at_most_once=True, **options).run("pay", str)

    run = every.finish(paying.trigger())

    assert (run.error_type, run.error_message) == ("MisusedStep", said)
