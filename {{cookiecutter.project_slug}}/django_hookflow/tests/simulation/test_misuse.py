"""Faults that hostile readers found: code that breaks more than itself."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import signals
from django_hookflow import workflow
from django_hookflow.testing.world import World

pytestmark = pytest.mark.usefixtures("transactional_db", "workflows")


def test_a_step_in_a_transaction_of_the_function_is_refused(
    every: World,
) -> None:
    calls: list[str] = []

    @workflow
    def careless(ctx: WorkflowContext) -> None:
        with transaction.atomic():
            ctx.step.run("first", calls.append, "first")
            ctx.step.sleep("nap", 60)

    run = every.finish(careless.trigger())

    # The nap would have rolled the first step's entry back.
    assert calls == []
    assert (run.status, run.error_type) == ("failed", "MisusedStep")
    assert run.error_message.startswith(
        "Step 'first' stands inside a transaction of the workflow function."
    )


def test_a_listener_that_fails_does_not_touch_the_run(every: World) -> None:
    heard: list[str] = []

    def fail(run_id: str, **_: Any) -> None:
        heard.append(run_id)
        raise RuntimeError("the listener is broken")

    @workflow
    def innocent(ctx: WorkflowContext) -> str:
        ctx.step.run("first", str)
        ctx.step.sleep("nap", 60)
        return "done"

    told = (
        signals.run_triggered,
        signals.run_claimed,
        signals.step_recorded,
        signals.run_committed,
    )
    for signal in told:
        signal.connect(fail)
    try:
        run = every.finish(innocent.trigger())
    finally:
        for signal in told:
            signal.disconnect(fail)

    assert (run.status, run.result, run.messages) == ("completed", "done", 2)
    assert run.crashes == 0
    assert len(heard) == 1 + 2 + 2 + 2


@pytest.mark.parametrize(
    ("name", "match"),
    [("x" * 256, None), ("paid", "x" * 256), ("", None), ("paid", "a\0b")],
)
def test_a_wait_for_an_event_that_cannot_be_sent_is_refused(
    every: World, name: str, match: str | None
) -> None:
    @workflow
    def careless(ctx: WorkflowContext) -> None:
        ctx.step.wait_for_event("payment", name, match=match)

    run = every.finish(careless.trigger())

    assert (run.status, run.deliveries) == ("failed", 1)
    assert run.error_type == "MisusedStep"
    assert run.error_message.startswith("Step 'payment' waits for ")
