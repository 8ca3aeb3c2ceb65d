"""Mistakes of authors, and the error texts that explain them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.operations import maintenance
from django_hookflow.testing.world import World

declare: Any = workflow


class Shop:
    def order(self, ctx: WorkflowContext) -> None: ...


def without() -> None: ...


def with_more(ctx: WorkflowContext, order_id: int) -> None: ...


def by_name(ctx: WorkflowContext, *, order_id: int) -> None: ...


def with_defaults(ctx: WorkflowContext, order_id: int = 0) -> None: ...


@pytest.mark.parametrize(
    ("function", "written", "problem"),
    [
        (without, "without() -> 'None'", "too many positional arguments"),
        (
            with_more,
            "with_more(ctx: 'WorkflowContext', order_id: 'int') -> 'None'",
            "missing a required argument: 'order_id'",
        ),
        (
            by_name,
            "by_name(ctx: 'WorkflowContext', *, order_id: 'int') -> 'None'",
            "missing a required argument: 'order_id'",
        ),
        (
            Shop.order,
            "Shop.order(self, ctx: 'WorkflowContext') -> 'None'",
            "missing a required argument: 'ctx'",
        ),
    ],
)
def test_a_function_that_takes_no_context_alone_is_refused(
    function: Callable[..., None], written: str, problem: str
) -> None:
    with pytest.raises(TypeError) as caught:
        declare(function)

    said = str(caught.value).replace("a required keyword-only", "a required")
    # Python 3.12 says "keyword-only", 3.11 does not.
    said = said.replace("keyword-only argument", "argument")
    assert said == (
        f"{written} cannot be called with a context alone: {problem}. Write "
        f"def {function.__name__}(ctx), and give it the rest by "
        "trigger(data={…})."
    )


def test_a_function_may_take_more_than_it_is_given() -> None:
    assert declare(with_defaults).workflow_id == "with_defaults"


@pytest.mark.parametrize(
    "thing", ["order", Shop, partial(with_more, order_id=1), print]
)
def test_what_is_no_function_is_refused(thing: Any) -> None:
    with pytest.raises(TypeError) as caught:
        declare(thing)

    assert str(caught.value) == (
        f"{thing!r} is not a function, so it cannot be a workflow. Write "
        "@workflow above a def; an id is given by its name, as in "
        '@workflow(workflow_id="process-order").'
    )


def test_a_lambda_needs_an_id() -> None:
    with pytest.raises(ValueError, match="Invalid workflow id '<lambda>'"):
        workflow(lambda ctx: None)

    assert workflow(workflow_id="named")(lambda ctx: None)


def test_retries_are_a_policy() -> None:
    with pytest.raises(TypeError) as caught:
        declare(retry=3)(with_defaults)

    assert str(caught.value) == (
        "Invalid retry 3, expected a RetryPolicy. Write "
        "retry=RetryPolicy(retries=3)."
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("retries", -1, "a whole number from 0."),
        ("retries", 2.5, "a whole number from 0."),
        ("delay", "10s", "a number from 0."),
        ("factor", -2, "a number from 0."),
        ("maximum", float("inf"), "a number from 0."),
    ],
)
def test_a_policy_without_meaning_is_refused(
    name: str, value: Any, expected: str
) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        RetryPolicy(**{name: value})

    said = f"Invalid {name} {value!r}, expected {expected}"
    assert str(caught.value) == said


class Broken(RetryPolicy):
    def delay_before(self, attempt: int, error: BaseException) -> float:
        raise ZeroDivisionError


def test_a_policy_that_fails_ends_as_what_kills_its_workers(
    world: World,
) -> None:
    @workflow(retry=Broken())
    def doomed(ctx: WorkflowContext) -> None:
        raise ConnectionError

    run_id = doomed.trigger()
    for _ in range(3):
        world.pass_time("1d")
        maintenance.sweep()
    run = world.finish(run_id)

    assert (run.status, run.error_type) == ("failed", "WorkerCrashed")


async def colored() -> int:
    return 1


@pytest.mark.parametrize(
    ("fn", "error", "text"),
    [
        (
            4711,
            "MisusedStep",
            "Step 'a' was given 4711, which is not a function. Write "
            'ctx.step.run("id", fn, argument), without calling fn.',
        ),
        (
            colored,
            "SerializationError",
            "Step 'a' was tried once and failed: SerializationError: The "
            "result of step 'a' cannot be recorded: it is a coroutine: call "
            "asgiref.sync.async_to_sync(fn). Use plain data, a dataclass or "
            "an id, and load the rest again where it is used.",
        ),
    ],
)
def test_a_step_that_is_no_plain_function_is_refused(
    every: World, fn: Any, error: str, text: str
) -> None:
    @workflow
    def mistaken(ctx: WorkflowContext) -> None:
        ctx.step.run("a", fn)

    run = every.finish(mistaken.trigger())

    assert (run.status, run.error_type) == ("failed", error)
    assert run.error_message == text


def test_options_take_a_policy_too(every: World) -> None:
    @workflow
    def mistaken(ctx: WorkflowContext) -> None:
        options: Any = ctx.step.options
        options(retry=3).run("a", str)

    run = every.finish(mistaken.trigger())

    assert (run.status, run.error_type) == ("failed", "TypeError")


def test_the_last_failure_is_logged_with_where_it_happened(
    every: World, caplog: pytest.LogCaptureFixture
) -> None:
    def fall() -> None:
        raise ConnectionError("away")

    @workflow(retry=RetryPolicy(retries=1))
    def failing(ctx: WorkflowContext) -> None:
        ctx.step.run("fall", fall)

    every.finish(failing.trigger())

    told = [
        (record.levelname, "in fall" in str(record.exc_text))
        for record in caplog.records
        if record.levelname in {"WARNING", "ERROR"}
    ]
    assert told == [("WARNING", False), ("WARNING", False), ("ERROR", True)]


def test_a_decorator_may_give_the_rest_of_the_arguments() -> None:
    def with_tenant(function: Any) -> Any:
        @functools.wraps(function)
        def inner(ctx: WorkflowContext) -> Any:
            return function(ctx, "acme")

        return inner

    @workflow
    @with_tenant
    def renew(ctx: WorkflowContext, tenant: str) -> str:
        return tenant

    context: Any = None
    assert renew(context) == "acme"


def test_a_decorator_that_takes_too_much_is_refused() -> None:
    def odd(function: Any) -> Any:
        @functools.wraps(function)
        def inner(ctx: WorkflowContext, tenant: str) -> Any:
            return function(ctx)

        return inner

    def renew(ctx: WorkflowContext) -> None: ...

    with pytest.raises(TypeError, match="cannot be called with a context"):
        workflow(odd(renew))
