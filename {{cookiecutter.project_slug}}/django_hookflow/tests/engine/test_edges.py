"""The corners that no ordinary run comes to."""

from __future__ import annotations

import threading
from datetime import UTC
from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import clock
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import Event
from django_hookflow.models import WorkflowRun
from django_hookflow.retry import is_retryable_error
from django_hookflow.testing.world import World
from django_hookflow.transports.base import Transport

IMPATIENT = {
    "sqlite": ("timeout", 0.1),
    "postgresql": ("options", "-c lock_timeout=100"),
}


def test_the_clock_is_that_of_the_system_unless_moved() -> None:
    before = datetime.now(UTC)

    assert before <= clock.now() <= datetime.now(UTC)


def test_runs_survive_a_dump_and_a_load(every: World) -> None:
    @workflow
    def dumped(ctx: WorkflowContext) -> Any:
        return ctx.data

    run_id = dumped.trigger({"b": (1, "ü\0"), "a": None})
    every.deliver()
    dump = StringIO()
    call_command("dumpdata", "django_hookflow", stdout=dump)
    before = WorkflowRun.objects.values().get()
    WorkflowRun.objects.all().delete()

    text = dump.getvalue()
    from django.core import serializers

    for row in serializers.deserialize("json", text):
        row.save()

    assert WorkflowRun.objects.values().get() == before
    assert list(every.run_of(run_id).result) == ["b", "a"]


def test_an_event_that_comes_while_the_run_suspends_wakes_it(
    every: World,
) -> None:
    looks: list[str] = []

    def send_before_commit(
        execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if sql.startswith("SELECT") and "hookflow_event" in sql:
            looks.append(sql)
            # The step has looked in vain; the commit is about to look again.
            if len(looks) == 2:
                send_event("paid", "just in time", match="order-1")
        return execute(sql, params, many, context)

    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("wait", "paid", match="order-1")

    run_id = waiter.trigger()
    with connection.execute_wrapper(send_before_commit):
        every.deliver()

    run = every.run_of(run_id)
    assert (run.status, run.result) == ("completed", "just in time")
    assert (run.deliveries, run.messages) == (2, 2)


def test_an_event_that_another_run_takes_first_is_waited_for(
    every: World,
) -> None:
    taken: list[int] = []

    def take_first(
        execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        result = execute(sql, params, many, context)
        if "FROM" in sql and "hookflow_event" in sql and not taken:
            taken.append(1)
            Event.objects.update(consumed_at=every.now)
        return result

    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("wait", "paid", match="order-1")

    run_id = waiter.trigger()
    send_event("paid", 1, match="order-1")
    with connection.execute_wrapper(take_first):
        every.deliver()

    assert every.run_of(run_id).status == "waiting"


def test_a_heartbeat_that_cannot_write_leaves_the_step_alone(
    every: World,
    settings: Any,
    caplog: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.DJANGO_HOOKFLOW_LEASE = 0.1
    # How long a new connection, such as the heartbeat's, waits for a lock.
    options = settings.DATABASES["default"]["OPTIONS"]
    monkeypatch.setitem(options, *IMPATIENT[connection.vendor])
    tried = threading.Event()
    caplog.handler.addFilter(
        lambda record: (
            ("keeps its old lease" in record.getMessage() and tried.set())
            or True
        )
    )

    @workflow
    def slow(ctx: WorkflowContext) -> bool:
        def write() -> bool:
            WorkflowRun.objects.select_for_update().get()
            return tried.wait(60)

        return ctx.step.options(atomic=True).run("slow", write)

    run = every.finish(slow.trigger())

    assert (run.status, run.result) == ("completed", True)


def test_a_backoff_beyond_all_numbers_is_the_maximum() -> None:
    policy = RetryPolicy(retries=10_000, factor=10.0, maximum=60)

    assert policy.delay_before(5000, ConnectionError()) == 60


def test_an_error_wrapped_by_a_step_is_judged_by_its_cause() -> None:
    def wrapped(cause: Exception) -> WorkflowError:
        error = WorkflowError("x", "y", "z")
        error.__cause__ = cause
        return error

    assert is_retryable_error(wrapped(ConnectionError()))
    assert not is_retryable_error(wrapped(ValueError()))
    assert not is_retryable_error(WorkflowError("x", "y", "z"))


def test_a_transport_of_ones_own_needs_one_method(settings: Any) -> None:
    class Pigeon(Transport):
        def send(self, delivery: Delivery) -> None: ...

    assert Pigeon().check() == []
