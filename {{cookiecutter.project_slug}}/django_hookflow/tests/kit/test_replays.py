"""Each run that rests is replayed, and must do the same."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.core.mail import send_mail
from django.db import transaction
from pydantic import BaseModel

from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.models import WorkflowRun
from django_hookflow.races import after
from django_hookflow.races import event
from django_hookflow.testing import Hookflow

pytestmark = pytest.mark.django_db

Body = Callable[[WorkflowContext, int], Any]


def fails_of(hookflow: Hookflow, body: Body) -> tuple[str, str]:
    """Return the sentence, and the place, with which a body is refused.

    `body`: gets the context, and 0, 1, 2, … at each pass.
    """
    passes = itertools.count()

    @workflow
    def odd(ctx: WorkflowContext) -> Any:
        return body(ctx, next(passes))

    with pytest.raises(AssertionError) as raised:
        hookflow.run(odd, run_id="r1")
    hookflow._moved.clear()
    found = re.match(
        r"(?s)(.*) when run 'r1' was replayed, at (.*)\. A workflow function "
        r"must do the same at each replay: .*\nRun r1 of odd: ",
        str(raised.value),
    )
    assert found is not None, str(raised.value)
    return found[1], found[2]


def test_a_new_step_is_found_with_file_and_line(hookflow: Hookflow) -> None:
    def body(ctx: WorkflowContext, number: int) -> None:
        if number:
            ctx.step.run("charge", str)
        ctx.step.sleep("nap", 60)

    line = body.__code__.co_firstlineno + 2
    assert fails_of(hookflow, body) == (
        "A new step 'charge' appeared",
        f"{Path(__file__)}:{line}",
    )


def test_a_missing_step_is_found(hookflow: Hookflow) -> None:
    def body(ctx: WorkflowContext, number: int) -> None:
        if not number:
            ctx.step.run("charge", str)

    said, place = fails_of(hookflow, body)

    assert said == "Step 'charge', a 'run' at position 0, was missing"
    assert re.fullmatch(rf"{re.escape(__file__)}:\d+", place)


@pytest.mark.parametrize(
    "step",
    [
        lambda ctx: ctx.step.first("new", paid=event("a"), late=after(0)),
        lambda ctx: ctx.step.wait_for_event("new", "paid"),
        lambda ctx: ctx.step.options(at_most_once=True).run("new", str),
        lambda ctx: ctx.step.options(atomic=True).run("new", str),
        lambda ctx: ctx.step.map("new", str, [1]),
        lambda ctx: ctx.record_step_start("new"),
    ],
    ids=["first", "wait", "once", "atomic", "map", "by hand"],
)
def test_a_new_step_of_each_kind_is_found(
    hookflow: Hookflow, step: Callable[[WorkflowContext], Any]
) -> None:
    def body(ctx: WorkflowContext, number: int) -> None:
        if number:
            step(ctx)

    assert fails_of(hookflow, body)[0] == "A new step 'new' appeared"


def test_a_step_of_another_kind_is_found(hookflow: Hookflow) -> None:
    def body(ctx: WorkflowContext, number: int) -> None:
        if number:
            ctx.step.sleep("nap", 0)
        else:
            ctx.step.run("nap", str)

    assert fails_of(hookflow, body)[0] == (
        "Step 'nap' is recorded as 'run' and was asked for as 'sleep'"
    )


def test_another_result_is_found(hookflow: Hookflow) -> None:
    def body(ctx: WorkflowContext, number: int) -> Any:
        return {"number": number}

    assert fails_of(hookflow, body)[0] == (
        'The result was {"number":1} and not {"number": 0}'
    )


def test_another_end_is_found(hookflow: Hookflow) -> None:
    def body(ctx: WorkflowContext, number: int) -> Any:
        if number:
            raise PermanentError("no")

    assert fails_of(hookflow, body)[0] == (
        "The function did not return (PermanentError)"
    )


def test_another_wait_is_found(hookflow: Hookflow) -> None:
    def body(ctx: WorkflowContext, number: int) -> Any:
        if number:
            ctx.continue_as_new()

    assert fails_of(hookflow, body)[0].startswith("The result was ")


@pytest.mark.parametrize(
    ("other", "said"),
    [(ValueError("no"), "ValueError"), (None, "a result")],
)
def test_another_error_is_found(
    hookflow: Hookflow, other: Exception | None, said: str
) -> None:
    def body(ctx: WorkflowContext, number: int) -> Any:
        if not number:
            raise PermanentError("no")
        if other:
            raise other

    assert fails_of(hookflow, body)[0] == f"It ended with {said}"


def test_a_write_outside_of_a_step_is_found_and_not_done(
    hookflow: Hookflow,
) -> None:
    def body(ctx: WorkflowContext, number: int) -> None:
        Group.objects.create(name=f"group {number}")

    line = body.__code__.co_firstlineno + 1
    assert fails_of(hookflow, body) == (
        '\'INSERT INTO "auth_group" ("name")\' was executed outside of a step',
        f"{Path(__file__)}:{line}",
    )
    assert Group.objects.count() == 1


def test_mail_outside_of_a_step_is_found_and_taken_back(
    hookflow: Hookflow,
) -> None:
    def body(ctx: WorkflowContext, number: int) -> None:
        send_mail("Hello", "", None, ["ada@example.com"])

    assert fails_of(hookflow, body)[0] == (
        "The mail 'Hello' was sent outside of a step"
    )
    assert len(mail.outbox) == 1


def test_a_branch_is_replayed(hookflow: Hookflow) -> None:
    seen: list[str] = []

    @workflow
    def family(ctx: WorkflowContext) -> Any:
        def branch(n: int) -> Any:
            seen.append("branch")
            if seen.count("branch") == 2:
                ctx.step.run("second", str)
            return 0

        return ctx.step.map("each", branch, [1])

    with pytest.raises(AssertionError, match="new step 'second' appeared"):
        hookflow.run(family)
    hookflow._moved.clear()


class Order(BaseModel):
    number: int


@workflow(workflow_id="kit-typed", input=Order, output=Order)
def typed(ctx: WorkflowContext) -> Order:
    if ctx.patched("later"):
        ctx.step.first("wait", a=event("a"), b=event("b"))
    else:
        ctx.step.run("x", str)
    if not ctx.is_step_completed("by hand"):
        ctx.record_step_start("by hand")
        ctx.record_step_complete("by hand", 1)
    ctx.log.info("so far")
    return ctx.data


def test_all_that_is_deterministic_passes(
    hookflow: Hookflow, caplog: pytest.LogCaptureFixture
) -> None:
    run = hookflow.run(typed, Order(number=7))

    run.send_event("b")

    assert run.result == {"number": 7}
    assert caplog.messages.count("so far") == 1


def waits_badly(ctx: WorkflowContext) -> None:
    ctx.step.wait_for_event("wait", "paid", "soon")


def races_badly(ctx: WorkflowContext) -> None:
    ctx.step.first("race", paid=event("paid"), late=after("soon"))


def maps_badly(ctx: WorkflowContext) -> None:
    ctx.step.map("map", str, [1], max_parallel=0)


def invokes_badly(ctx: WorkflowContext) -> None:
    ctx.step.invoke("invoke", str)  # type: ignore[arg-type]


def begins_in_a_transaction(ctx: WorkflowContext) -> None:
    with transaction.atomic():
        ctx.step.run("charge", str)


def changes_a_kind(ctx: WorkflowContext) -> None:
    ctx.step.run("charge", str)
    ctx.step.sleep("charge", 1)


BAD = [
    waits_badly,
    races_badly,
    maps_badly,
    invokes_badly,
    begins_in_a_transaction,
    changes_a_kind,
]


@pytest.mark.parametrize("function", BAD, ids=lambda one: one.__name__)
def test_a_step_that_is_refused_each_time_passes(
    hookflow: Hookflow, function: Callable[[WorkflowContext], Any]
) -> None:
    @workflow
    def catching(ctx: WorkflowContext) -> str:
        try:
            function(ctx)
        except Exception as error:
            return str(error)
        return "no error"

    failed = hookflow.run(workflow(function))

    assert failed.status == "failed"
    assert hookflow.run(catching).result in failed.error


def test_a_wait_that_refuses_what_came_passes(
    hookflow: Hookflow, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_MAX_VALUE_BYTES = 100

    @workflow
    def filling(ctx: WorkflowContext) -> None:
        ctx.step.map("each", lambda item: "x" * 60, [1, 2])

    assert hookflow.run(filling).error.startswith("SerializationError")


def test_data_that_cannot_be_read_any_more_passes(hookflow: Hookflow) -> None:
    run_id = typed.trigger(Order(number=7))
    WorkflowRun.objects.update(data={"number": "seven"})

    assert hookflow.get(run_id).error.startswith("InvalidData")


def test_a_run_that_was_ended_from_outside_passes(hookflow: Hookflow) -> None:
    @workflow(timeout="1h")
    def late(ctx: WorkflowContext) -> None:
        ctx.step.wait_for_event("paid", "paid")
        ctx.step.run("thank", str)

    first, second = hookflow.run(late), hookflow.run(late)
    send_event("paid", run_id=second.run_id)
    first.cancel()
    third = hookflow.run(late)
    third.advance("1h")

    assert first.status == "cancelled"
    assert third.error.startswith("RunTimeout")


def test_a_run_cancelled_between_two_steps_passes(hookflow: Hookflow) -> None:
    @workflow
    def order(ctx: WorkflowContext) -> None:
        ctx.step.run("first", run_cancels, ctx.run_id)
        ctx.step.run("second", str)

    assert hookflow.run(order).status == "cancelled"


def run_cancels(run_id: str) -> None:
    from django_hookflow import cancel_run

    cancel_run(run_id)


@pytest.mark.hookflow(replay=False)
def test_replays_can_be_turned_off(hookflow: Hookflow) -> None:
    passes = itertools.count()

    @workflow
    def odd(ctx: WorkflowContext) -> int:
        return next(passes)

    assert hookflow.run(odd).result == 0


def test_what_undoes_itself_or_its_children_replays(
    hookflow: Hookflow,
) -> None:
    undone: list[str] = []

    @workflow
    def booking(ctx: WorkflowContext) -> None:
        step = ctx.step.options(compensate=undone.append)
        step.run("book", str, ctx.data["what"])

    @workflow
    def travelling(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=undone.append).run("visa", str, "visa")
        ctx.run_compensation()
        ctx.step.invoke("hotel", booking, {"what": "hotel"})
        ctx.step.map("train", lambda what: book(ctx, what), ["to", "back"])
        raise PermanentError("no money")

    def book(ctx: WorkflowContext, what: str) -> None:
        ctx.step.options(compensate=undone.append).run("book", str, what)

    run = hookflow.run(travelling)

    assert run.status == "compensated"
    assert undone == ["visa", "back", "to", "hotel"]
