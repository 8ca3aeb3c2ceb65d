"""Errors of authors and their libraries, and how the run ends."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from typing import NoReturn

import pytest
from django.db import NotSupportedError
from django.db import ProgrammingError
from django.db import connection

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import engine
from django_hookflow import workflow
from django_hookflow.dlq import DeadLetterEntry
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RetryableError
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> NoReturn:
        raise error

    return fail


def fail_in_circle() -> NoReturn:
    first, second = ValueError("no number"), KeyError("no key")
    first.__cause__, second.__cause__ = second, first
    raise first


def raise_itself() -> NoReturn:
    try:
        int("x")
    except ValueError as error:
        raise error from error


@pytest.mark.parametrize("fn", [fail_in_circle, raise_itself])
@pytest.mark.parametrize("where", ["step", "function"])
def test_an_error_whose_causes_form_a_circle_fails_the_run(
    every: World, fn: Callable[[], None], where: str
) -> None:
    @workflow
    def sale(ctx: WorkflowContext) -> None:
        if where == "step":
            ctx.step.run("charge", fn)
        fn()

    run = every.finish(sale.trigger())

    assert (run.status, run.error_type) == ("failed", "ValueError")
    assert run.deliveries == 1


def test_a_failed_step_that_causes_itself_is_not_tried_again(
    every: World,
) -> None:
    @workflow
    def sale(ctx: WorkflowContext) -> None:
        try:
            ctx.step.run("charge", raising(ValueError("no number")))
        except WorkflowError as error:
            group = ExceptionGroup("all", [error])
            error.__cause__ = group
            raise group from error

    run = every.finish(sale.trigger())

    assert (run.status, run.error_type) == ("failed", "ExceptionGroup")
    # A retry tries the step again.
    assert DeadLetterEntry.objects.get().payload["completed_steps"] == {}
    assert run.error_step == "charge"


EXITS = [
    pytest.param(lambda: sys.exit("no licence file"), "SystemExit", id="exit"),
    pytest.param(raising(KeyboardInterrupt()), "KeyboardInterrupt", id="ctrl"),
    pytest.param(raising(GeneratorExit()), "GeneratorExit", id="generator"),
    pytest.param(
        raising(asyncio.CancelledError()), "CancelledError", id="cancelled"
    ),
    pytest.param(
        raising(BaseExceptionGroup("two", [SystemExit(3), KeyError()])),
        "BaseExceptionGroup",
        id="group",
    ),
]


@pytest.mark.parametrize(("fn", "name"), EXITS)
@pytest.mark.parametrize("atomic", [False, True])
def test_what_looks_like_the_end_of_the_process_fails_the_step_at_once(
    every: World, fn: Callable[[], None], name: str, atomic: bool
) -> None:
    @workflow
    def report(ctx: WorkflowContext) -> str:
        try:
            ctx.step.options(atomic=atomic).run("export", fn)
        except WorkflowError as error:
            return error.error_type
        return "nothing"

    run = every.finish(report.trigger())

    step = run.step_executions.get()
    assert (run.status, run.result) == ("completed", name)
    assert (step.status, step.error_type, step.attempts) == ("failed", name, 1)
    assert run.deliveries == 1


@pytest.mark.parametrize(("fn", "name"), EXITS)
def test_what_looks_like_the_end_of_the_process_fails_the_function(
    every: World, fn: Callable[[], None], name: str
) -> None:
    @workflow
    def report(ctx: WorkflowContext) -> None:
        fn()

    run = every.finish(report.trigger())

    assert (run.status, run.error_type) == ("failed", name)
    assert (run.deliveries, run.crashes) == (1, 0)


def test_a_policy_may_have_an_exit_tried_again(every: World) -> None:
    class Stubborn(RetryPolicy):
        def delay_before(
            self, attempt: int, error: BaseException
        ) -> float | None:
            return 1 if isinstance(error, SystemExit) else None

    exits = [3, 3]

    def export() -> str:
        if exits:
            sys.exit(exits.pop())
        return "exported"

    @workflow(retry=Stubborn())
    def report(ctx: WorkflowContext) -> str:
        return ctx.step.run("export", export)

    run = every.finish(report.trigger())

    assert run.result == "exported"
    assert run.step_executions.get().attempts == 3


@contextmanager
def handling(number: int, handler: Any) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def quit_now(*_: object) -> NoReturn:
    sys.exit(0)  # as gunicorn's workers do at SIGQUIT and SIGABRT


SIGNALS = [
    pytest.param(signal.SIGINT, signal.default_int_handler, id="ctrl-c"),
    pytest.param(signal.SIGTERM, quit_now, id="sigterm"),
    pytest.param(signal.SIGINT, quit_now, id="sigint"),
]


@pytest.mark.parametrize(("number", "handler"), SIGNALS)
@pytest.mark.parametrize("where", ["step", "function"])
def test_a_signal_still_stops_the_process(
    world: World, number: int, handler: Any, where: str
) -> None:
    received: list[int] = []

    def work() -> None:
        if not received:
            received.append(number)
            signal.raise_signal(number)

    @workflow
    def working(ctx: WorkflowContext) -> str:
        if where == "step":
            ctx.step.run("work", work)
        work()
        return "done"

    run_id = working.trigger()
    message = memory_transport().waiting[0].delivery
    with (
        handling(number, handler),
        pytest.raises((KeyboardInterrupt, SystemExit)),
    ):
        engine.advance(message)

    assert world.run_of(run_id).status == "running"
    world.advance("31s")
    assert world.finish(run_id).result == "done"


def test_a_signal_that_the_function_swallows_ends_its_delivery(
    world: World,
) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> None:
        try:
            ctx.step.run("work", signal.raise_signal, signal.SIGINT)
        except BaseException:
            ctx.step.run("next", str)

    working.trigger()
    message = memory_transport().waiting[0].delivery
    with (
        handling(signal.SIGINT, signal.default_int_handler),
        pytest.raises(KeyboardInterrupt),
    ):
        engine.advance(message)

    assert WorkflowRun.objects.get().step_executions.count() == 0


@pytest.mark.parametrize(
    ("errors", "attempts"),
    [
        ([ValueError("bad VAT id"), PermanentError("no address")], 1),
        ([ConnectionError("away"), ValueError("bad VAT id")], 1),
        ([ExceptionGroup("in it", [ValueError("bad VAT id")])], 1),
        ([ConnectionError("away"), TimeoutError("late")], 4),
        ([RetryableError("busy"), ConnectionError("away")], 4),
    ],
)
def test_a_group_of_errors_is_judged_by_its_members(
    every: World, errors: list[Exception], attempts: int
) -> None:
    @workflow
    def order(ctx: WorkflowContext) -> None:
        ctx.step.run("check", raising(ExceptionGroup("checks", errors)))

    run = every.finish(order.trigger())

    assert run.step_executions.get().attempts == attempts


def test_a_group_of_errors_says_what_is_in_it(every: World) -> None:
    inner = ExceptionGroup("in it", [ValueError("bad VAT id")])
    group = ExceptionGroup("checks", [inner, PermanentError("no address")])

    @workflow
    def order(ctx: WorkflowContext) -> None:
        ctx.step.run("check", raising(group))

    run = every.finish(order.trigger())

    assert run.error_type == "ExceptionGroup"
    assert run.error_message == (
        "Step 'check' was tried once and failed: ExceptionGroup: checks "
        "(2 sub-exceptions): ValueError: bad VAT id; "
        "PermanentError: no address"
    )


def test_a_group_waits_as_long_as_its_most_patient_member(
    every: World,
) -> None:
    busy = [
        RetryableError("busy", retry_after=5),
        RetryableError("very busy", retry_after=70),
    ]

    @workflow
    def order(ctx: WorkflowContext) -> None:
        ctx.step.run("check", raising(ExceptionGroup("checks", busy)))

    run_id = order.trigger()
    every.deliver()

    wake_at = every.run_of(run_id).wake_at
    assert wake_at is not None
    assert (wake_at - every.now).total_seconds() == 70


def test_a_failed_run_names_the_error_of_its_step(every: World) -> None:
    class CardDeclined(PermanentError): ...

    @workflow
    def sale(ctx: WorkflowContext) -> None:
        ctx.step.run("charge", raising(CardDeclined("no money")))

    run = every.finish(sale.trigger())

    letter = DeadLetterEntry.objects.get()
    assert (run.error_type, letter.error_type) == ("CardDeclined",) * 2


def test_a_class_with_an_endless_name_fails_the_run_all_the_same(
    every: World,
) -> None:
    endless = type("E" * 300, (PermanentError,), {})

    @workflow
    def sale(ctx: WorkflowContext) -> None:
        ctx.step.run("charge", raising(endless("no money")))

    assert every.finish(sale.trigger()).error_type == "E" * 255


def test_recorded_steps_reset_the_failures_of_the_function(
    every: World,
) -> None:
    failed: set[int] = set()

    @workflow(retry=RetryPolicy(retries=3))
    def long(ctx: WorkflowContext) -> str:
        for number in range(8):
            ctx.step.run(f"step-{number}", str)
            if number not in failed:
                failed.add(number)
                raise ConnectionError("away")
        return "done"

    run = every.finish(long.trigger())

    assert (run.status, run.result) == ("completed", "done")


def test_failures_of_the_function_count_while_no_step_is_recorded(
    every: World,
) -> None:
    passes: list[int] = []

    @workflow(retry=RetryPolicy(retries=3))
    def stuck(ctx: WorkflowContext) -> None:
        ctx.step.run("first", str)
        passes.append(1)
        raise ConnectionError("away")

    run = every.finish(stuck.trigger())

    assert (run.status, run.attempts, len(passes)) == ("failed", 4, 4)


class Stated(Exception):
    """An error of a driver."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "attempts"), [("26000", 4), ("42P05", 4), ("42P01", 1)]
)
def test_a_statement_that_a_pooler_has_not_prepared_is_tried_again(
    every: World, sqlstate: str, attempts: int
) -> None:
    def ask() -> None:
        raise ProgrammingError("no") from Stated(sqlstate)

    @workflow
    def asking(ctx: WorkflowContext) -> None:
        ctx.step.run("ask", ask)

    run = every.finish(asking.trigger())

    assert run.step_executions.get().attempts == attempts


@pytest.mark.postgresql  # SQLite prepares such statements again by itself
def test_a_statement_that_was_prepared_before_a_deploy_is_tried_again(
    every: World,
) -> None:
    """Make the statement select one more column."""
    statements = [
        "CREATE TEMPORARY TABLE parcels (id int)",
        "PREPARE parcels AS SELECT * FROM parcels",
        "ALTER TABLE parcels ADD COLUMN weight int",
        "EXECUTE parcels",
    ]

    def ask() -> str:
        with connection.cursor() as cursor:
            while statements:
                cursor.execute(statements.pop(0))
        return "asked"

    @workflow
    def asking(ctx: WorkflowContext) -> str:
        return ctx.step.run("ask", ask)

    run = every.finish(asking.trigger())

    assert (run.status, run.result) == ("completed", "asked")
    assert run.step_executions.get().attempts == 2


def test_what_postgresql_cannot_do_is_not_tried_again(every: World) -> None:
    def ask() -> None:
        raise NotSupportedError("no") from Stated("0A000")

    @workflow
    def asking(ctx: WorkflowContext) -> None:
        ctx.step.run("ask", ask)

    run = every.finish(asking.trigger())

    assert run.step_executions.get().attempts == 1
