"""Prepared statements of PostgreSQL, and the ways in which they are lost."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from django.db import DataError
from django.db import OperationalError
from django.db import connection
from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import drivers
from django_hookflow.testing.world import World
from django_hookflow.tests.races.actors import Actor
from django_hookflow.tests.races.actors import deliver
from django_hookflow.tests.races.actors import select
from django_hookflow.tests.races.actors import stand
from django_hookflow.tests.races.conftest import Threshold
from django_hookflow.transports.memory import memory_transport
from django_hookflow.workflows.decorator import WorkflowWrapper

STEPS = 8
PREPARED = """
SELECT statement FROM pg_prepared_statements
WHERE name LIKE 'hookflow\\_%' AND NOT from_sql
"""


def kept() -> list[str]:
    """Return the statements that a connection has prepared for the engine."""
    if not connection.is_usable():
        connection.close()
    with connection.cursor() as cursor:
        cursor.execute(PREPARED)
        return [statement for (statement,) in cursor.fetchall()]


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@dataclass
class Found:
    """A run of STEPS steps after one delivery."""

    run: WorkflowRun
    answer: tuple[int, str]
    calls: list[int]  # of its steps
    kept: list[str]  # what the connection had prepared afterwards


def run_with(
    world: World, do: Callable[[], Any], at: int = 5, atomic: bool = False
) -> Found:
    """Run a workflow whose step number `at` changes its connection."""
    calls: list[int] = []

    def work(number: int) -> int:
        calls.append(number)
        if number == at:
            do()
        return number

    @workflow
    def counting(ctx: WorkflowContext) -> list[int]:
        step = ctx.step.options(atomic=atomic)
        return [step.run(f"step-{n}", work, n) for n in range(STEPS)]

    run_id = counting.trigger()
    message = memory_transport().waiting[0]
    answer, prepared = Actor(lambda: (deliver(message), kept())).result()
    return Found(world.run_of(run_id), answer, calls, prepared)


def test_steps_are_appended_by_a_prepared_statement(world: World) -> None:
    found = run_with(world, list)

    (statement,) = found.kept
    assert statement.startswith("INSERT INTO django_hookflow_stepexecution")
    assert statement.endswith("FOR SHARE")
    assert found.run.result == [*range(STEPS)]
    assert StepExecution.objects.count() == STEPS


def test_it_is_prepared_when_it_has_been_executed_often(
    world: World, threshold: Threshold
) -> None:
    threshold(3)
    early: list[list[str]] = []
    found = run_with(world, lambda: early.append(kept()), at=3)

    assert (early, len(found.kept)) == ([[]], 1)
    assert found.run.status == "completed"


def test_nothing_is_prepared_where_the_settings_forbid_it(
    world: World, threshold: Threshold
) -> None:
    threshold(None)
    found = run_with(world, list)

    assert found.kept == []
    assert found.run.result == [*range(STEPS)]


@pytest.mark.parametrize("forget", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_a_connection_that_forgets_prepares_again(
    world: World, forget: str
) -> None:
    found = run_with(world, lambda: execute(forget))

    assert len(found.kept) == 1
    assert found.calls == [*range(STEPS)]
    assert found.run.result == [*range(STEPS)]


def test_a_step_that_closes_the_connection_costs_nothing(
    world: World,
) -> None:
    found = run_with(world, lambda: connection.close())

    assert len(found.kept) == 1
    assert found.calls == [*range(STEPS)]
    assert found.run.result == [*range(STEPS)]


def test_a_row_of_another_run_ends_the_delivery(world: World) -> None:
    def write_the_next_one() -> None:
        last = StepExecution.objects.latest("position")
        last.pk, last.step_id = None, "step-5"
        last.save(force_insert=True)

    found = run_with(world, write_the_next_one)

    assert found.answer == (503, "lease lost")
    assert found.calls == [*range(6)]


def test_a_connection_that_dies_in_an_append_ends_the_delivery(
    world: World,
) -> None:
    execute(DIE)
    try:
        found = run_with(world, lambda: execute(TRIGGER))
    finally:
        execute("DROP FUNCTION die CASCADE")

    assert found.answer == (503, "lease lost")
    assert found.calls == [*range(6)]
    assert StepExecution.objects.count() == 5


DIE = """
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_terminate_backend(pg_backend_pid());
    RETURN NEW;
END $$
"""
TRIGGER = """
CREATE TRIGGER die BEFORE INSERT ON django_hookflow_stepexecution
FOR EACH ROW EXECUTE FUNCTION die()
"""


def test_a_connection_that_is_known_to_be_dead_ends_the_delivery(
    world: World,
) -> None:
    def die() -> None:
        with pytest.raises(OperationalError):
            execute("SELECT pg_terminate_backend(pg_backend_pid())")

    found = run_with(world, die)

    assert found.answer == (503, "lease lost")
    assert found.calls == [*range(6)]


def tasked() -> WorkflowWrapper:
    @workflow
    def tasked(ctx: WorkflowContext) -> str:
        return "done"

    return tasked


def terminate() -> None:
    """Cut the present connection while it is idle."""
    (pid,) = select("SELECT pg_backend_pid()")[0]
    Actor(
        partial(select, "SELECT pg_terminate_backend(%s, 10000)", pid)
    ).result()


def test_a_connection_that_died_is_an_error_of_django_each_time(
    world: World,
) -> None:
    task = tasked()

    def trigger_twice() -> None:
        terminate()
        for _ in range(2):
            with pytest.raises(OperationalError):
                task.trigger()
        assert connection.errors_occurred

    Actor(trigger_twice).result()

    assert not WorkflowRun.objects.exists()


def test_a_connection_that_died_idle_is_replaced_where_health_is_checked(
    world: World,
) -> None:
    task = tasked()

    def trigger_and_deliver() -> tuple[int, str]:
        begin_request()
        task.trigger(run_id="run")
        begin_request()
        return deliver(memory_transport().waiting[0])

    def begin_request() -> None:
        """Check the connection as Django does before a request."""
        terminate()
        connection.health_check_enabled = True
        connection.health_check_done = False

    assert Actor(trigger_and_deliver).result() == (200, "completed")


def test_a_prepared_statement_waits_for_a_row_that_others_lock(
    world: World,
) -> None:
    def wait(number: int) -> int:
        if number == STEPS - 1:
            stand()
        return number

    @workflow
    def counting(ctx: WorkflowContext) -> list[int]:
        return [ctx.step.run(f"step-{n}", wait, n) for n in range(STEPS)]

    counting.trigger(run_id="run")
    message = memory_transport().waiting[0]
    worker = Actor(lambda: deliver(message)).reach()
    with transaction.atomic():
        WorkflowRun.objects.select_for_update().get(run_id="run")
        worker.go().wait_until_blocked()

    assert worker.result() == (200, "completed")
    assert world.run_of("run").result == [*range(STEPS)]


INSERT = "INSERT INTO texts SELECT %s"


@pytest.fixture
def texts() -> Iterator[None]:
    execute("CREATE TABLE texts (text text)")
    yield
    execute("DROP TABLE texts")


@pytest.mark.usefixtures("texts")
def test_text_with_a_nul_is_refused_and_never_cut_off() -> None:
    def insert() -> None:
        driver = drivers.driver()
        for text in ("a", "b", "\u20ac"):
            driver.execute(INSERT, [text])
        with pytest.raises(DataError):
            driver.execute(INSERT, ["c\0d"])
        with pytest.raises(UnicodeEncodeError):
            driver.execute(INSERT, ["\ud800"])
        driver.execute(INSERT, [None])

    Actor(insert).result()

    kept = [text for (text,) in select("SELECT text FROM texts")]
    assert kept == ["a", "b", "\u20ac", None]


@pytest.mark.usefixtures("texts")
def test_a_statement_has_one_name_on_all_connections() -> None:
    def insert() -> list[tuple[str]]:
        driver = drivers.driver()
        for _ in range(2):
            driver.execute(INSERT, ["text"])
        return select("SELECT name FROM pg_prepared_statements")

    first = Actor(insert).result()

    assert len(first) == 1
    assert Actor(insert).result() == first


@pytest.mark.usefixtures("texts")
def test_a_name_that_a_pooler_gave_to_another_is_not_executed_twice() -> None:
    """As behind PgBouncer, whose servers have statements of other clients."""

    def insert() -> None:
        driver = drivers.driver()
        driver.execute(INSERT, ["first"])
        driver.execute(INSERT, ["second"])
        ((name,),) = select("SELECT name FROM pg_prepared_statements")
        execute(f"DEALLOCATE {name}")
        driver.execute(INSERT, ["third"])
        execute(f"PREPARE {name} AS {INSERT.replace('%s', '$1')}")
        driver.execute(INSERT, ["fourth"])

    Actor(insert).result()

    kept = [text for (text,) in select("SELECT text FROM texts")]
    assert kept == ["first", "second", "third", "fourth"]


def test_what_is_in_a_transaction_stays_in_it(world: World) -> None:
    found = run_with(world, list, atomic=True)

    assert found.kept == []
    assert found.run.result == [*range(STEPS)]
