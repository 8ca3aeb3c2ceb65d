"""The database goes away at the worst moments."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.conf import conf
from django_hookflow.testing.world import World
from django_hookflow.tests.races.actors import Actor
from django_hookflow.tests.races.actors import deliver
from django_hookflow.tests.races.actors import select
from django_hookflow.tests.races.actors import stand
from django_hookflow.transports.memory import memory_transport

COMMIT = "completed_at = %s"
APPEND = "INSERT INTO django_hookflow_stepexecution"


@pytest.fixture
def deadly_table() -> Iterator[str]:
    """Make a table that kills, once, the connection that commits to it."""
    with connection.cursor() as cursor:
        cursor.execute(DEADLY)
        yield "deadly"
        cursor.execute("DROP TABLE deadly, armed; DROP FUNCTION die")


DEADLY = """
CREATE TABLE deadly (word text);
CREATE UNLOGGED TABLE armed (word text);
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM armed) THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER die AFTER INSERT ON deadly
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die();
"""


def write(word: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO deadly VALUES (%s)", [word])
    return word


def words() -> list[str]:
    return [word for (word,) in select("SELECT word FROM deadly")]


def test_a_connection_lost_between_two_steps_costs_no_committed_step(
    world: World,
) -> None:
    calls: list[str] = []

    def second() -> None:
        calls.append("second")
        if calls.count("second") == 1:
            stand()

    @workflow
    def working(ctx: WorkflowContext) -> None:
        ctx.step.run("first", calls.append, "first")
        ctx.step.run("second", second)

    run_id = working.trigger()
    message = memory_transport().waiting[0]
    worker = Actor(lambda: deliver(message))
    worker.reach().terminate().go()

    assert worker.result() == (503, "lease lost")
    assert Actor(lambda: deliver(message)).result() == (409, "busy")
    world.advance(conf.DJANGO_HOOKFLOW_LEASE)
    assert Actor(lambda: deliver(message)).result() == (200, "completed")
    assert calls == ["first", "second", "second"]
    assert world.run_of(run_id).status == "completed"


def test_a_connection_lost_at_the_commit_of_an_atomic_step(
    world: World, deadly_table: str
) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> list[str]:
        step = ctx.step.options(atomic=True)
        ctx.step.run("before", str)
        return [step.run("write", write, "row")]

    run_id = working.trigger()
    message = memory_transport().waiting[0]
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO armed VALUES ('once')")

    assert Actor(lambda: deliver(message)).result() == (503, "lease lost")
    assert words() == []
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM armed")
    world.advance(conf.DJANGO_HOOKFLOW_LEASE)
    assert Actor(lambda: deliver(message)).result() == (200, "completed")
    assert words() == ["row"]
    assert world.run_of(run_id).result == ["row"]


def test_a_connection_lost_after_an_append_before_its_commit(
    world: World, deadly_table: str
) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> str:
        step = ctx.step.options(atomic=True)
        return step.run("write", write, "row")

    run_id = working.trigger()
    message = memory_transport().waiting[0]
    worker = Actor(lambda: deliver(message), stop_after=APPEND)

    assert worker.reach().terminate().go().result() == (503, "lease lost")
    assert words() == []
    world.advance(conf.DJANGO_HOOKFLOW_LEASE)
    assert Actor(lambda: deliver(message)).result() == (200, "completed")
    assert words() == ["row"]
    assert world.run_of(run_id).result == "row"


def test_a_connection_lost_before_the_verdict_is_committed(
    world: World,
) -> None:
    calls: list[str] = []

    @workflow
    def working(ctx: WorkflowContext) -> None:
        ctx.step.run("work", calls.append, "work")

    run_id = working.trigger()
    message = memory_transport().waiting[0]
    worker = Actor(lambda: deliver(message), stop_after=APPEND)

    assert worker.reach().terminate().go().result() == (503, "lease lost")
    world.advance(conf.DJANGO_HOOKFLOW_LEASE)
    assert Actor(lambda: deliver(message)).result() == (200, "completed")
    assert calls == ["work"]
    assert world.run_of(run_id).status == "completed"


def test_a_connection_lost_within_the_transaction_of_a_verdict(
    world: World,
) -> None:
    calls: list[str] = []

    @workflow
    def working(ctx: WorkflowContext) -> None:
        ctx.step.run("work", calls.append, "work")
        ctx.step.sleep("nap", 60)

    run_id = working.trigger()
    message = memory_transport().waiting[0]
    worker = Actor(lambda: deliver(message), stop_after=COMMIT)

    assert worker.reach().terminate().go().result() == (503, "lease lost")
    world.advance(conf.DJANGO_HOOKFLOW_LEASE)
    assert Actor(lambda: deliver(message)).result() == (200, "waiting")
    assert calls == ["work"]
    assert world.finish(run_id).status == "completed"


def test_a_connection_lost_in_an_atomic_step_is_an_error_of_the_step(
    world: World, deadly_table: str
) -> None:
    def work() -> str:
        if not worker_died:
            worker_died.append(True)
            stand()
        return write("row")

    @workflow
    def working(ctx: WorkflowContext) -> str:
        return ctx.step.options(atomic=True).run("write", work)

    worker_died: list[bool] = []
    run_id = working.trigger()
    message = memory_transport().waiting[0]
    worker = Actor(lambda: deliver(message))

    assert worker.reach().terminate().go().result() == (200, "waiting")
    assert world.finish(run_id).result == "row"
    assert words() == ["row"]
