"""`ctx.step("id", fn).timeout(30).run()`, and `@step(…)`."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields
from functools import wraps
from typing import Any

import pytest
from django.db import transaction

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import step
from django_hookflow import workflow
from django_hookflow.exceptions import MisusedStep
from django_hookflow.exceptions import WorkflowError
from django_hookflow.steps.fluent import StepRunner
from django_hookflow.steps.options import Given
from django_hookflow.steps.options import Options
from django_hookflow.testing.world import World

ONCE = RetryPolicy(retries=0)
TWICE = RetryPolicy(retries=1)


@pytest.mark.promise("fluent")
def test_each_option_has_a_method_and_a_name_to_be_given_by() -> None:
    names = [field.name for field in fields(Options)]

    assert [*Given.__annotations__] == names
    assert [name for name in names if not hasattr(StepRunner, name)] == []


@dataclass
class Reservation:
    reservation_id: str


@dataclass
class Charge:
    charge_id: str


def reserve_items(items: list[str]) -> Reservation:
    return Reservation(f"reserved {', '.join(items)}")


def charge_credit_card(card_token: str) -> Charge:
    return Charge(f"charged {card_token}")


def send_order_email(email: str) -> None:
    raise ConnectionError(f"no mail to {email}")


@pytest.mark.promise("fluent")
def test_the_payment_workflow_of_the_requirements(every: World) -> None:
    @workflow
    def payment_workflow(ctx: WorkflowContext) -> dict[str, str]:
        # Step 1: Reserve inventory
        reservation = ctx.step(
            "reserve_inventory", lambda: reserve_items(ctx.data["items"])
        ).run()

        # Step 2: Charge card (with timeout)
        charge = (
            ctx.step(
                "charge_card",
                lambda: charge_credit_card(ctx.data["card_token"]),
            )
            .timeout(30)
            .run()
        )

        # Step 3: Send confirmation (optional)
        ctx.step(
            "send_confirmation", lambda: send_order_email(ctx.data["email"])
        ).optional().run()

        return {
            "order_id": reservation.reservation_id,
            "charge_id": charge.charge_id,
        }

    run = every.finish(
        payment_workflow.trigger(
            {"items": ["tea"], "card_token": "tok_1", "email": "a@b.example"}
        )
    )

    assert run.result == {
        "order_id": "reserved tea",
        "charge_id": "charged tok_1",
    }
    steps = run.step_executions.values_list("step_id", "kind", "status")
    assert list(steps) == [
        ("reserve_inventory", "run", "completed"),
        ("charge_card", "run", "completed"),
        ("send_confirmation", "run", "failed"),
    ]


def test_all_options_in_a_row_are_those_of_options(every: World) -> None:
    seen: list[bool] = []

    def work(word: str, *, times: int) -> str:
        seen.append(transaction.get_connection().in_atomic_block)
        if len(seen) == 1:
            raise ConnectionError("away")
        return word * times

    @workflow
    def fluent(ctx: WorkflowContext) -> Any:
        built = ctx.step("work", work, "ab", times=2)
        return built.retry(TWICE).timeout("1m").atomic().optional().run()

    run = every.finish(fluent.trigger())

    assert (run.result, seen) == ("abab", [True, True])


def test_at_most_once_is_not_tried_again(every: World) -> None:
    @workflow
    def fluent(ctx: WorkflowContext) -> Any:
        once = ctx.step("mail", send_order_email, "a@b.example")
        try:
            return once.at_most_once().run()
        except WorkflowError as error:
            return error.attempts

    assert every.finish(fluent.trigger()).result == 1


def forgotten(ctx: WorkflowContext) -> Any:
    ctx.step("lost", str).optional()
    ctx.step.run("next", str)


def forgotten_twice(ctx: WorkflowContext) -> Any:
    ctx.step("lost", str)
    return ctx.step("other", str).run()


def returned(ctx: WorkflowContext) -> Any:
    return ctx.step("lost", str)


def given(ctx: WorkflowContext) -> Any:
    return ctx.step.run("next", str, ctx.step("lost", str))


def indexed(ctx: WorkflowContext) -> Any:
    return ctx.step("lost", str)["id"]  # type: ignore[index]


def looked_at(ctx: WorkflowContext) -> Any:
    return "yes" if ctx.step("lost", str) else "no"


@pytest.mark.parametrize(
    "function",
    [forgotten, forgotten_twice, returned, given, indexed, looked_at],
)
def test_a_step_that_is_not_run_is_an_error_that_says_so(
    every: World, function: Any
) -> None:
    run = every.finish(workflow(function).trigger())

    assert (run.status, run.error_type, run.error_message) == (
        "failed",
        "MisusedStep",
        "Step 'lost' was built by ctx.step(…) and not run. End it with "
        ".run(), which returns its result, before the next step begins.",
    )
    assert run.step_executions.count() == 0


def test_an_attribute_of_its_result_is_not_there_before_it_is_run(
    every: World,
) -> None:
    @workflow
    def hasty(ctx: WorkflowContext) -> Any:
        charge: Any = ctx.step("charge", charge_credit_card, "tok_1")
        return charge.charge_id

    run = every.finish(hasty.trigger())

    assert run.error_type == "AttributeError"
    assert "'charge' was built by ctx.step(…) and not run" in run.error_message
    assert run.error_message.endswith("(asked: charge_id)")


def test_a_function_has_the_options_that_it_declares(every: World) -> None:
    tried: list[str] = []

    @step(retry=ONCE, optional=True)
    def fail(where: str) -> None:
        tried.append(where)
        raise ConnectionError("away")

    @wraps(fail)
    def wrapped(where: str) -> None:
        fail(where)

    @workflow
    def declaring(ctx: WorkflowContext) -> Any:
        return [
            ctx.step.run("plain", fail, "plain"),
            ctx.step("fluent", fail, "fluent").run(),
            ctx.step.run("wrapped", wrapped, "wrapped"),
            ctx.step.options(retry=TWICE).run("given", fail, "given"),
            ctx.step("again", fail, "again").retry(TWICE).run(),
        ]

    run = every.finish(declaring.trigger())

    assert run.result == [None] * 5
    first = ["plain", "fluent", "wrapped"]
    assert tried == [*first, "given", "given", "again", "again"]


def test_an_option_that_is_given_wins_also_when_it_says_no(
    every: World,
) -> None:
    @step(optional=True, retry=ONCE)
    def fail() -> None:
        raise ConnectionError("away")

    @workflow
    def strict(ctx: WorkflowContext) -> Any:
        ctx.step.options(optional=False).run("fail", fail)

    run = every.finish(strict.trigger())

    assert (run.status, run.error_type) == ("failed", "ConnectionError")


def test_what_a_function_cannot_be_is_refused_where_it_is_declared() -> None:
    with pytest.raises(MisusedStep) as refused:

        @step(timeout="soon")
        def charge() -> None: ...

    assert str(refused.value) == (
        "Step 'charge' has the timeout 'soon'. Write seconds above 0 as a "
        'number, or text such as "30s" or "1h30m".'
    )
    with pytest.raises(TypeError, match="expected a RetryPolicy"):
        step(retry=3)  # type: ignore[typeddict-item]
    with pytest.raises(TypeError, match="tries"):
        step(tries=3)  # type: ignore[call-arg]
