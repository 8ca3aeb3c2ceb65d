"""Faults that were found by checking each sentence of the documents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.core.management import CommandError
from django.core.management import call_command
from django.db import transaction

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import signals
from django_hookflow import workflow
from django_hookflow.exceptions import RetryableError
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.operations import maintenance
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport
from django_hookflow.workflows import registry


def test_a_run_id_used_again_after_a_cleanup_can_fail_again(
    every: World,
) -> None:
    @workflow
    def failing(ctx: WorkflowContext) -> None:
        raise ValueError("no")

    every.finish(failing.trigger(run_id="order-1"))
    every.advance("31d")
    call_command("cleanup_workflows")
    failing.trigger(run_id="order-1")
    for _ in range(10):
        maintenance.sweep()
        every.pass_time("1d")

    assert every.run_of("order-1").status == "failed"


def test_a_transaction_around_steps_does_not_lose_their_entries(
    every: World,
) -> None:
    calls: list[int] = []

    @workflow
    def wrapped(ctx: WorkflowContext) -> None:
        with transaction.atomic():
            ctx.step.run("once", calls.append, 1)
            ctx.step.sleep("nap", 10)

    every.finish(wrapped.trigger())

    assert calls == []


def test_a_listener_that_fails_does_not_stop_the_next_message(
    every: World,
) -> None:
    heard: list[str] = []

    def broken(run_id: str, **_: Any) -> None:
        heard.append(run_id)
        raise RuntimeError("listener")

    @workflow
    def napping(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", 10)

    signals.run_committed.connect(broken)
    try:
        run_id = napping.trigger()
        every.deliver()
    finally:
        signals.run_committed.disconnect(broken)

    tokens = [message.delivery.token for message in memory_transport().waiting]
    assert run_id in heard
    assert every.run_of(run_id).wake_token in tokens
    assert every.finish(run_id).status == "completed"


def test_a_replay_tries_a_step_again_whose_error_was_raised_as_another(
    every: World,
) -> None:
    is_well: list[bool] = []

    def pay() -> None:
        if not is_well:
            raise ValueError("no")

    @workflow
    def paying(ctx: WorkflowContext) -> None:
        try:
            ctx.step.run("pay", pay)
        except WorkflowError as error:
            raise LookupError("not paid") from error

    every.finish(paying.trigger())
    is_well.append(True)
    run = every.finish(DeadLetterEntry.objects.get().replay())

    assert run.status == "completed"


def test_a_call_takes_ids_that_are_not_ascii(every: World) -> None:
    @workflow
    def calling(ctx: WorkflowContext) -> Any:
        return ctx.step.call("prüfen", "http://127.0.0.1:1/")

    run = every.finish(calling.trigger(run_id="für-ada"))

    assert "Connection refused" in run.error_message


def test_the_time_of_a_workflow_never_goes_back(every: World) -> None:
    times: list[datetime] = []

    def before(ctx: WorkflowContext) -> None:
        ctx.step.run("a", int)
        ctx.step.sleep("nap", 10)

    def after(ctx: WorkflowContext) -> None:
        ctx.step.run("new", int)
        times.append(ctx.now())
        ctx.step.run("a", int)
        times.append(ctx.now())

    run_id = workflow(workflow_id="deployed")(before).trigger()
    every.deliver()
    registry.unregister("deployed")
    workflow(workflow_id="deployed")(after)
    run = every.finish(run_id)

    assert run.status == "completed"
    assert len(times) >= 2
    assert times == sorted(times)


def test_a_replayed_run_has_not_been_under_way_for_negative_time(
    every: World,
) -> None:
    is_well: list[bool] = []

    @workflow
    def measuring(ctx: WorkflowContext) -> float:
        ctx.step.run("a", int)
        if not is_well:
            raise ValueError("no")
        return ctx.elapsed().total_seconds()

    every.finish(measuring.trigger())
    is_well.append(True)
    run = every.finish(DeadLetterEntry.objects.get().replay())

    assert run.result >= 0


def test_a_second_options_keeps_the_first(every: World) -> None:
    chosen: list[bool] = []

    @workflow
    def choosing(ctx: WorkflowContext) -> None:
        rows = ctx.step.options(atomic=True)
        step = rows.options(retry=RetryPolicy(retries=1))
        step.run("in", lambda: chosen.append(_in_transaction()))

    every.finish(choosing.trigger())

    assert chosen == [True]


def _in_transaction() -> bool:
    return transaction.get_connection().in_atomic_block


def test_a_replay_is_told_like_a_trigger(every: World) -> None:
    told: list[str] = []

    def listen(run_id: str, **_: Any) -> None:
        told.append(run_id)

    @workflow
    def failing(ctx: WorkflowContext) -> None:
        raise ValueError("no")

    signals.run_triggered.connect(listen)
    try:
        first = failing.trigger()
        every.finish(first)
        second = DeadLetterEntry.objects.get().replay()
    finally:
        signals.run_triggered.disconnect(listen)

    assert told == [first, second]


def test_the_position_of_a_step_tried_again_is_its_own(every: World) -> None:
    is_well: list[bool] = []

    def pay() -> None:
        if not is_well:
            raise ValueError("no")

    @workflow
    def paying(ctx: WorkflowContext) -> None:
        ctx.step.run("reserve", int)
        try:
            ctx.step.run("pay", pay)
        except WorkflowError:
            ctx.step.run("release", int)
            raise

    every.finish(paying.trigger())
    is_well.append(True)
    run = every.finish(DeadLetterEntry.objects.get().replay())

    positions = list(run.step_executions.values_list("position", flat=True))
    assert len(set(positions)) == len(positions)


def test_a_query_that_names_no_field_is_not_tried_again(every: World) -> None:
    @workflow
    def asking(ctx: WorkflowContext) -> None:
        ctx.step.run("ask", lambda: WorkflowRun.objects.filter(nothing=1))

    run = every.finish(asking.trigger())

    assert run.step_executions.get().attempts == 1


def test_a_run_whose_code_is_gone_says_so(every: World) -> None:
    @workflow
    def gone(ctx: WorkflowContext) -> None: ...

    run_id = gone.trigger()
    registry.unregister("gone")
    every.pass_time("2d")

    assert "No workflow is registered as 'gone'" in (
        every.run_of(run_id).error_message
    )


def test_a_pause_without_end_is_cut_short(every: World) -> None:
    calls: list[int] = []

    def ask() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RetryableError("later", retry_after=1e12)

    @workflow
    def patient(ctx: WorkflowContext) -> None:
        ctx.step.run("ask", ask)

    run = every.finish(patient.trigger(), within="31d")

    assert (run.status, len(calls)) == ("completed", 2)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("hookflow_sweep", ["--limit", "-1"]),
        ("cleanup_workflows", ["--days-old", "99999999"]),
    ],
)
def test_numbers_without_meaning_are_refused(
    command: str, arguments: list[str]
) -> None:
    with pytest.raises(CommandError, match=r"Invalid --.*, expected"):
        call_command(command, *arguments)
