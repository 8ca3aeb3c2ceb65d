"""Workers that die outside of steps, and the leases they leave."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from typing import ClassVar

import pytest
from django.db import OperationalError
from django.db import connection
from pydantic import BaseModel
from pydantic import field_validator

from django_hookflow import WorkflowContext
from django_hookflow import engine
from django_hookflow import heartbeat
from django_hookflow import workflow
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport


class Deadly(BaseModel):
    """Kills the worker that reads it, once it is armed."""

    number: int
    is_armed: ClassVar[bool] = False

    @field_validator("number")
    @classmethod
    def kill(cls, number: int) -> int:
        if cls.is_armed:
            raise Died
        return number


def test_a_worker_that_dies_while_it_reads_the_data_decides_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    @workflow
    def reading(ctx: WorkflowContext) -> None: ...

    run_id = reading.trigger({"it": Deadly(number=1)})
    with monkeypatch.context() as armed, pytest.raises(Died):
        armed.setattr(Deadly, "is_armed", True)
        engine.advance(memory_transport().waiting[0].delivery)

    assert world.run_of(run_id).status == "running"


def test_a_worker_that_dies_in_a_step_decides_nothing_though_it_is_caught(
    world: World,
) -> None:
    def die() -> None:
        raise Died

    @workflow
    def careless(ctx: WorkflowContext) -> str:
        with suppress(BaseException):
            ctx.step.run("die", die)
        return "nothing happened"

    run_id = careless.trigger()
    with pytest.raises(Died):
        engine.advance(memory_transport().waiting[0].delivery)

    assert world.run_of(run_id).status == "running"


def test_a_worker_that_dies_outside_of_steps_decides_nothing(
    world: World,
) -> None:
    @workflow
    def dying(ctx: WorkflowContext) -> None:
        raise Died

    run_id = dying.trigger()
    with pytest.raises(Died):
        engine.advance(memory_transport().waiting[0].delivery)

    assert world.run_of(run_id).status == "running"


def test_of_leases_that_cannot_be_given_back_the_newest_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heartbeat, "MOST_LEFT", 3)

    def refuse(*_: Any) -> Any:
        raise OperationalError("disk is full")

    try:
        with connection.execute_wrapper(refuse):
            for number in range(4):
                heartbeat.give_back("r", f"token-{number}", ValueError("x"))
        left = list(heartbeat._left)
    finally:
        heartbeat._left.clear()

    assert left == ["token-1", "token-2", "token-3"]


@pytest.mark.usefixtures("world")
def test_a_lease_that_cannot_be_given_back_is_tried_again_at_the_next_beat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise OperationalError("disk is full")

    monkeypatch.setitem(heartbeat._left, "token", "run-1")
    with monkeypatch.context() as full:
        full.setattr(WorkflowPersistence, "give_back", refuse)
        heartbeat._give_back_all()
    kept = list(heartbeat._left)
    heartbeat._give_back_all()

    assert (kept, heartbeat._left) == (["token"], {})
