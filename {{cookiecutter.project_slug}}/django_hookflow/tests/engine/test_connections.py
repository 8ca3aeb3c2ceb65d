"""The database connection that the engine shares with its callers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from datetime import UTC
from datetime import datetime
from functools import partial

import pytest
from django.db import DEFAULT_DB_ALIAS
from django.db import DatabaseError
from django.db import Error
from django.db import connection
from django.db import connections
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from pytest_django import Settings

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.conf import conf
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.memory import post
from django_hookflow.workflows.decorator import WorkflowWrapper


@pytest.fixture
def fresh() -> Iterator[None]:
    """Close the connection after a test that changed it."""
    yield
    connection.close()


def tasked(runs: list[str]) -> WorkflowWrapper:
    @workflow
    def tasked(ctx: WorkflowContext) -> str:
        runs.append(ctx.run_id)
        return "done"

    return tasked


def test_a_step_may_close_the_connection(every: World) -> None:
    @workflow
    def closing(ctx: WorkflowContext) -> int:
        for n in range(3):
            ctx.step.run(f"before-{n}", str)
            ctx.step.run(f"close-{n}", connection.close)
        return 3

    run = every.finish(closing.trigger())

    assert (run.status, run.deliveries) == ("completed", 1)
    assert run.step_executions.count() == 6


def test_a_step_that_closes_its_own_transaction_fails(every: World) -> None:
    @workflow
    def closing(ctx: WorkflowContext) -> str:
        step = ctx.step.options(atomic=True)
        try:
            step.run("close", connection.close)
        except WorkflowError as error:
            return ctx.step.run("after", str, error.error_type)
        return "closed"

    run = every.finish(closing.trigger())

    assert run.status == "completed"
    assert run.result == "TransactionManagementError"
    assert run.step_executions.count() == 2


def test_a_trigger_in_a_savepoint_goes_back_with_it(world: World) -> None:
    runs: list[str] = []
    task = tasked(runs)

    with transaction.atomic():
        task.trigger(run_id="first")
        with transaction.atomic():
            task.trigger(run_id="regretted")
            transaction.set_rollback(True)
        task.trigger(run_id="last")
        assert memory_transport().waiting == []
    world.deliver()

    assert runs == ["first", "last"]
    assert not WorkflowRun.objects.filter(run_id="regretted").exists()


def test_a_trigger_in_a_broken_transaction_is_refused_by_django(
    world: World,
) -> None:
    task = tasked([])

    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            task.trigger()

    assert memory_transport().waiting == []
    assert not WorkflowRun.objects.exists()


@pytest.mark.usefixtures("fresh")
def test_a_trigger_in_a_transaction_that_was_closed_is_an_error_of_django(
    world: World,
) -> None:
    task = tasked([])

    with pytest.raises(Error), transaction.atomic():
        connection.close()
        task.trigger()

    assert memory_transport().waiting == []
    assert not WorkflowRun.objects.exists()


def test_with_debug_every_statement_is_logged(
    world: World, settings: Settings
) -> None:
    settings.DEBUG = True
    connection.queries_log.clear()

    @workflow
    def working(ctx: WorkflowContext) -> str:
        return ctx.step.run("work", str)

    run_id = working.trigger()
    triggered = logged()
    run = world.finish(run_id)  # a request clears the queries before it

    assert run.status == "completed"
    assert triggered == ["INSERT INTO django_hookflow_workflowrun"]
    assert logged()[:3] == [
        "UPDATE django_hookflow_workflowrun SET",
        "INSERT INTO django_hookflow_stepexecution",
        "UPDATE django_hookflow_workflowrun SET",
    ]


def logged() -> list[str]:
    """Return the first words of each logged statement."""
    statements = [query["sql"].split() for query in connection.queries]
    return [" ".join(words[:3]) for words in statements]


@contextmanager
def locked(other: BaseDatabaseWrapper) -> Iterator[None]:
    """Hold the write lock in another connection, and do not wait for it."""
    with other.cursor() as theirs:
        if other.vendor == "postgresql":
            theirs.execute("BEGIN")
            theirs.execute("LOCK TABLE django_hookflow_workflowrun")
        else:
            theirs.execute("BEGIN IMMEDIATE")
        yield
        theirs.execute("ROLLBACK")


@pytest.fixture
def other(
    fresh: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BaseDatabaseWrapper]:
    """Open another connection; the engine's own do not wait for locks."""
    made = connection.copy()
    # Options, since the engine may connect again, as it does after a failure.
    options = connection.settings_dict["OPTIONS"]
    if connection.vendor == "postgresql":
        monkeypatch.setitem(options, "options", "-c lock_timeout=1")
    else:
        monkeypatch.setitem(options, "timeout", 0)
    connection.close()
    yield made
    made.close()


def test_an_append_that_meets_a_lock_ends_the_delivery(
    world: World, other: BaseDatabaseWrapper
) -> None:
    calls: list[str] = []

    @workflow
    def working(ctx: WorkflowContext) -> str:
        ctx.step.run("before", str)
        return ctx.step.run("work", work)

    run_id = working.trigger()
    message = memory_transport().waiting[0]
    with ExitStack() as locks:

        def work() -> str:
            calls.append("work")
            if len(calls) == 1:
                locks.enter_context(locked(other))
            return "done"

        answer = post(message.delivery)

    assert answer.status_code == 503
    world.advance(conf.DJANGO_HOOKFLOW_LEASE)
    assert world.finish(run_id).result == "done"
    assert calls == ["work", "work"]


def test_a_claim_and_a_trigger_that_meet_a_lock_leave_nothing(
    world: World, other: BaseDatabaseWrapper
) -> None:
    runs: list[str] = []
    task = tasked(runs)
    task.trigger(run_id="run")
    message = memory_transport().waiting[0]

    with locked(other):
        answer = post(message.delivery)
        with pytest.raises(DatabaseError):
            task.trigger(run_id="other")

    assert (answer.status_code, runs) == (503, [])
    assert world.finish("run").deliveries == 1
    assert not WorkflowRun.objects.filter(run_id="other").exists()


@pytest.fixture
def far_away(fresh: None) -> Iterator[None]:
    """Give the database a TIME_ZONE in which it is a day later."""
    before = connection.settings_dict["TIME_ZONE"]
    set_time_zone("Pacific/Kiritimati")
    yield
    set_time_zone(before)


def set_time_zone(name: str | None) -> None:
    connection.close()
    connection.settings_dict["TIME_ZONE"] = name
    for cached in ("timezone", "timezone_name"):
        vars(connections[DEFAULT_DB_ALIAS]).pop(cached, None)


@pytest.mark.usefixtures("far_away")
def test_the_time_of_a_run_is_utc_whatever_the_zone_of_its_database(
    every: World,
) -> None:
    every.now = datetime(2026, 1, 1, 12, 30, 0, 250_000, UTC)
    seen: list[list[str]] = []

    @workflow
    def looking(ctx: WorkflowContext) -> str:
        times = [ctx.started_at, ctx.now()]
        ctx.step.run("work", partial(every.advance, 60))
        times.append(ctx.now())
        ctx.step.sleep("nap", 3600)
        seen.append([str(time) for time in times])
        return str(ctx.now())

    run = every.finish(looking.trigger())

    assert seen == [
        [
            "2026-01-01 12:30:00.250000+00:00",
            "2026-01-01 12:30:00.250000+00:00",
            "2026-01-01 12:31:00.250000+00:00",
        ]
    ]
    assert run.result == "2026-01-01 13:31:00.250000+00:00"
    assert run.completed_at == datetime(2026, 1, 1, 13, 31, 0, 250_000, UTC)


def test_what_is_recorded_comes_back_in_its_order(every: World) -> None:
    value = {"z": 1, "a": {"y": "nul \0, half \ud800", "b": [None, True]}}

    @workflow
    def keeping(ctx: WorkflowContext) -> list[object]:
        kept = ctx.step.run("keep", dict, value)
        ctx.step.sleep("nap", 60)
        return [kept, [*kept], [*kept["a"]], ctx.data, [*ctx.data["a"]]]

    run = every.finish(keeping.trigger(data=value))

    assert run.result == [value, ["z", "a"], ["y", "b"], value, ["y", "b"]]
