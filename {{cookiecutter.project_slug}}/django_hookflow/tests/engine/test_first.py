"""Races of waits: decided once, by the first that is there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_hookflow import WorkflowContext
from django_hookflow import cancel_run
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.models import Event
from django_hookflow.models import StepExecution
from django_hookflow.operations import maintenance
from django_hookflow.races import after
from django_hookflow.races import event
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World


@workflow
def decides(ctx: WorkflowContext) -> Any:
    won = ctx.step.first(
        "decision",
        paid=event("payment", match="order-1"),
        refused=event("refusal"),
        late=after("3d"),
        soon=after("2d"),
    )
    ctx.step.run("mail", str)
    return [*won]


@workflow
def waits_for_refusal(ctx: WorkflowContext) -> Any:
    return ctx.step.wait_for_event("wait", "refusal", match="order-2")


def steps_of(run_id: str) -> dict[str, str]:
    steps = StepExecution.objects.filter(workflow_run__run_id=run_id)
    return dict(steps.values_list("step_id", "status"))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("name", "address", "winner"),
    [("payment", "match", "paid"), ("refusal", "run_id", "refused")],
)
def test_the_event_that_is_there_wins(
    every: World, when: str, name: str, address: str, winner: str
) -> None:
    run_id = decides.trigger(run_id="r1")
    to: Any = {address: "r1" if address == "run_id" else "order-1"}
    if when == "after":
        every.deliver()

    send_event(name, {"amount": 5}, **to)
    run = every.finish(run_id)

    assert run.result == [winner, {"amount": 5}]
    assert steps_of(run_id) == {"decision": "completed", "mail": "completed"}
    assert Event.objects.filter(consumed_by=run).count() == 1


def test_the_earliest_time_wins_when_no_event_came(every: World) -> None:
    run_id = decides.trigger()
    every.pass_time("47h")
    assert every.run_of(run_id).status == "waiting"

    every.pass_time("1h")

    assert every.run_of(run_id).result == ["soon", None]
    assert steps_of(run_id) == {"decision": "completed", "mail": "completed"}


def test_an_event_beats_a_time_and_the_first_event_beats_the_next(
    world: World,
) -> None:
    run_id = decides.trigger(run_id="r1")
    world.deliver()
    world.now += timedelta(days=4)

    send_event("refusal", "first", run_id=run_id)
    send_event("payment", "second", match="order-1")
    run = world.finish(run_id)

    assert run.result == ["refused", "first"]
    assert Event.objects.get(consumed_at=None).data == "second"


def test_an_event_that_suits_two_racers_goes_to_the_one_named_first(
    world: World,
) -> None:
    @workflow
    def twins(ctx: WorkflowContext) -> Any:
        return [
            *ctx.step.first(
                "twins", one=event("tick", match="a"), two=event("tick")
            )
        ]

    run_id = twins.trigger()
    world.deliver()
    send_event("tick", 1, run_id=run_id)

    assert world.finish(run_id).result == ["one", 1]


def test_a_race_of_one_event_and_a_time_has_one_row(every: World) -> None:
    @workflow
    def pays(ctx: WorkflowContext) -> Any:
        return [
            *ctx.step.first(
                "decision", paid=event("payment"), late=after("3d")
            )
        ]

    run_id = pays.trigger()
    every.deliver()
    step = StepExecution.objects.get()

    assert (step.event_name, step.status) == ("payment", "waiting")
    assert step.wake_at == every.now + timedelta(days=3)
    assert every.finish(run_id).result == ["late", None]


def test_a_race_of_times_needs_no_event(every: World) -> None:
    @workflow
    def naps(ctx: WorkflowContext) -> Any:
        won = ctx.step.first("nap", long=after("2h"), short=after("1h"))
        return [*won, ctx.elapsed().total_seconds()]

    assert every.finish(naps.trigger()).result == ["short", None, 3600]


def test_an_event_that_lost_wakes_the_next_run_that_waits_for_it(
    every: World,
) -> None:
    @workflow
    def races(ctx: WorkflowContext) -> Any:
        return [
            *ctx.step.first(
                "race",
                paid=event("payment", match="order-2"),
                refused=event("refusal", match="order-2"),
            )
        ]

    first = races.trigger()
    every.deliver()
    second = waits_for_refusal.trigger()
    every.deliver()

    send_event("payment", 1, match="order-2")
    send_event("refusal", 2, match="order-2")
    every.deliver()

    assert every.run_of(first).result == ["paid", 1]
    assert every.run_of(second).result == 2


@pytest.mark.parametrize("again", [False, True])
def test_a_worker_that_dies_after_the_decision_lets_others_have_the_rest(
    world: World, again: bool
) -> None:
    deaths: list[int] = []

    @workflow
    def races(ctx: WorkflowContext) -> Any:
        won = ctx.step.first(
            "race",
            paid=event("payment", match="order-2"),
            refused=event("refusal", match="order-2"),
        )
        if not deaths:
            deaths.append(1)
            raise Died
        return [*won]

    first = races.trigger()
    world.deliver()
    second = waits_for_refusal.trigger()
    world.deliver()
    send_event("payment", 1, match="order-2")
    send_event("refusal", 2, match="order-2")
    with pytest.raises(Died):
        world.deliver()
    assert steps_of(first) == {"race": "completed", "race.refused": "skipped"}

    if again:
        # No event looks for the dead worker's run any more.
        send_event("refusal", 3, match="order-2")
        world.deliver()
        assert world.run_of(second).result == 2
    world.advance("1h")
    maintenance.sweep()

    assert world.finish(first).result == ["paid", 1]
    assert world.run_of(second).result == 2
    assert steps_of(first) == {"race": "completed"}


def test_a_racer_that_a_deploy_removes_is_forgotten(world: World) -> None:
    names = ["payment", "refusal"]

    @workflow
    def changes(ctx: WorkflowContext) -> Any:
        racers = {name: event(name, match="k") for name in names}
        return [*ctx.step.first("race", **racers)]

    run_id = changes.trigger()
    world.deliver()
    names[:] = ["refund", "payment", "apology"]
    maintenance.look_again_at_all()
    world.deliver()
    rows = StepExecution.objects.values_list(
        "step_id", "event_name", "position"
    )

    assert sorted(rows) == [
        ("race", "refund", 0),
        ("race.apology", "apology", 2),
        ("race.payment", "payment", 1),
    ]
    send_event("apology", "sorry", match="k")
    assert world.finish(run_id).result == ["apology", "sorry"]


def test_a_cancelled_race_leaves_its_events_to_others(every: World) -> None:
    first = decides.trigger()
    every.deliver()
    cancel_run(first)
    second = decides.trigger()
    every.deliver()

    send_event("payment", 1, match="order-1")

    assert every.finish(second).result == ["paid", 1]
    assert every.run_of(first).status == "cancelled"


def test_a_retry_keeps_the_decision(world: World) -> None:
    broken = [True]

    @workflow
    def fails(ctx: WorkflowContext) -> Any:
        won = ctx.step.first("race", paid=event("payment"), late=after("1h"))
        if broken:
            raise KeyError
        return [*won]

    run = world.finish(fails.trigger())
    broken.clear()

    again = run.dead_letters.get().replay()

    assert world.finish(again).result == ["late", None]


def test_random_numbers_after_a_race_are_the_same_at_each_replay(
    every: World,
) -> None:
    seen: set[float] = set()

    @workflow
    def rolls(ctx: WorkflowContext) -> None:
        ctx.step.first("race", paid=event("payment"), late=event("refund"))
        seen.add(ctx.random().random())
        ctx.step.sleep("nap", 5)

    run_id = rolls.trigger()
    every.deliver()
    send_event("refund", run_id=run_id)
    every.finish(run_id)

    assert len(seen) == 1


def test_a_plain_wait_costs_as_many_statements_as_before(
    world: World,
) -> None:
    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("wait", "payment")

    run_id = waiter.trigger()
    world.deliver()
    send_event("payment", 1, run_id=run_id)
    with CaptureQueriesContext(connection) as captured:
        world.deliver()

    found = [query["sql"].split(None, 1)[0] for query in captured]
    assert [word for word in found if word not in {"BEGIN", "COMMIT"}] == [
        "UPDATE", "SELECT", "SELECT", "SELECT", "UPDATE", "INSERT", "UPDATE",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("racers", "problem"),
    [
        ({}, "has nothing to wait for"),
        ({"paid": "payment"}, "was given paid='payment'"),
        (
            {"one": event("tick"), "two": event("tick")},
            "waits for 'tick' twice",
        ),
    ],
)
def test_a_race_of_something_else_fails_the_run(
    every: World, racers: Any, problem: str
) -> None:
    @workflow
    def races(ctx: WorkflowContext) -> None:
        ctx.step.first("race", **racers)

    run = every.finish(races.trigger())

    assert run.error_message == (
        f"Step 'race' {problem}. Write ctx.step.first(\"id\", "
        'paid=event("payment"), late=after("3d")), with functions of '
        "django_hookflow.races, each for something else."
    )


@pytest.mark.parametrize(
    ("racers", "said"),
    [
        ({"paid": event("")}, "waits for '', of 0 characters"),
        ({"late": after("soon")}, "cannot wait for 'soon'"),
    ],
)
def test_a_race_with_a_bad_value_fails_the_run(
    every: World, racers: Any, said: str
) -> None:
    @workflow
    def races(ctx: WorkflowContext) -> None:
        ctx.step.first("race", **racers)

    assert said in every.finish(races.trigger()).error_message


def test_a_step_with_the_name_of_a_racer_is_refused(every: World) -> None:
    @workflow
    def races(ctx: WorkflowContext) -> None:
        ctx.step.run("race.two", str)
        ctx.step.first("race", one=event("a"), two=event("b"))

    run = every.finish(races.trigger())

    assert "Step 'race.two' was asked for twice" in run.error_message
