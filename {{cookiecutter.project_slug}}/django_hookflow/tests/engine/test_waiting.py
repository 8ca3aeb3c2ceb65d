"""Sleeps and events, in whatever order they come."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import EventConflict
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import SerializationError
from django_hookflow.models import Event
from django_hookflow.testing.world import EPOCH
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        (90, 90),
        (0.5, 0.5),
        (timedelta(hours=2), 7200),
        ("1h30m", 5400),
        ("1.5d", 129_600),
        (0, 0),
        (-5, 0),
    ],
)
def test_sleep_takes_every_kind_of_duration(
    every: World, duration: Any, seconds: float
) -> None:
    woken: list[datetime] = []

    @workflow
    def sleeper(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", duration)
        woken.append(every.now)

    run = every.finish(sleeper.trigger())

    assert run.status == "completed"
    assert woken == [EPOCH + timedelta(seconds=seconds)]


@pytest.mark.parametrize("kind", ["sleep", "wait_for_event"])
@pytest.mark.parametrize(
    "duration",
    [
        *("", "soon", "5 m", "1w", "-5s", "5", "9999999d", "9999999999d"),
        *(1e30, float("inf"), float("nan"), [5], timedelta.max, EPOCH),
    ],
)
def test_a_duration_that_is_none_fails_the_run(
    every: World, kind: str, duration: Any
) -> None:
    @workflow
    def sleeper(ctx: WorkflowContext) -> None:
        if kind == "sleep":
            ctx.step.sleep("nap", duration)
        ctx.step.wait_for_event("nap", "bell", timeout=duration)

    run = every.finish(sleeper.trigger())

    assert run.error_message == (
        f"Step 'nap' cannot wait for {duration!r}. Write seconds as a "
        'number, or text such as "90s" or "1d12h", that end before the year '
        "10000."
    )


def test_sleep_until_a_time_and_not_for_a_time_that_is_past(
    every: World,
) -> None:
    woken: list[datetime] = []

    @workflow
    def sleeper(ctx: WorkflowContext) -> None:
        ctx.step.sleep_until("past", datetime(2020, 1, 1, tzinfo=UTC))
        ctx.step.sleep_until("noon", EPOCH + timedelta(hours=12))
        woken.append(every.now)

    every.finish(sleeper.trigger())

    assert woken == [EPOCH + timedelta(hours=12)]


def test_sleep_until_a_naive_time_is_refused(every: World) -> None:
    @workflow
    def sleeper(ctx: WorkflowContext) -> None:
        ctx.step.sleep_until("noon", datetime(2026, 1, 1))  # noqa: DTZ001

    run = every.finish(sleeper.trigger())

    assert run.error_message == (
        "Step 'noon' sleeps until 2026-01-01 00:00:00, which has no time "
        "zone. Use django.utils.timezone."
    )


@pytest.mark.parametrize("when", [1_767_265_200, "2026-01-01", None])
def test_sleep_until_what_is_no_datetime_is_refused(
    every: World, when: Any
) -> None:
    @workflow
    def sleeper(ctx: WorkflowContext) -> None:
        ctx.step.sleep_until("noon", when)

    run = every.finish(sleeper.trigger())

    assert (run.status, run.error_message) == (
        "failed",
        f"Step 'noon' sleeps until {when!r}, which is not a datetime. Use "
        "django.utils.timezone, or ctx.step.sleep for a number of seconds.",
    )


def test_a_message_that_comes_early_does_not_wake_the_sleeper(
    every: World,
) -> None:
    woken: list[datetime] = []

    @workflow
    def sleeper(ctx: WorkflowContext) -> None:
        ctx.step.sleep("week", "7d")
        woken.append(every.now)

    run_id = sleeper.trigger()
    every.deliver()
    every.advance("1d")
    memory_transport().deliver(memory_transport().waiting[0])

    assert every.run_of(run_id).status == "waiting"
    every.finish(run_id)
    assert woken == [EPOCH + timedelta(days=7)]


@pytest.mark.parametrize("address", ["run_id", "match"])
def test_an_event_sent_before_the_wait_is_not_lost(
    every: World, address: str
) -> None:
    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        match = None if address == "run_id" else "order-1"
        return ctx.step.wait_for_event("paid", "payment", match=match)

    run_id = waiter.trigger(run_id="r1")
    to: Any = {address: "r1" if address == "run_id" else "order-1"}

    send_event("payment", {"amount": 5}, **to)
    run = every.finish(run_id)

    assert (run.status, run.result) == ("completed", {"amount": 5})


@pytest.mark.parametrize("address", ["run_id", "match"])
def test_an_event_sent_after_the_wait_wakes_it(
    every: World, address: str
) -> None:
    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        match = None if address == "run_id" else 17
        return ctx.step.wait_for_event("paid", "payment", match=match)

    run_id = waiter.trigger(run_id="r1")
    to: Any = {address: "r1" if address == "run_id" else "17"}
    every.deliver()
    assert every.run_of(run_id).status == "waiting"

    send_event("payment", (1, 2), **to)
    run = every.finish(run_id)

    assert run.result == {"$tuple": [1, 2]}
    assert (run.deliveries, run.messages) == (2, 2)


def test_a_wait_by_match_also_takes_an_event_sent_to_its_run(
    every: World,
) -> None:
    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("paid", "payment", match="order-1")

    run_id = waiter.trigger()
    every.deliver()

    send_event("payment", "direct", run_id=run_id)

    assert every.finish(run_id).result == "direct"


def test_the_same_event_id_is_the_same_event(every: World) -> None:
    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        first = ctx.step.wait_for_event("first", "payment", match="k")
        try:
            ctx.step.wait_for_event("second", "payment", "1h", match="k")
        except EventTimeout:
            return [first, "no second"]

    run_id = waiter.trigger()
    every.deliver()

    assert send_event("payment", 1, match="k", event_id="e1") is True
    assert send_event("payment", 2, match="k", event_id="e1") is False
    assert every.finish(run_id).result == [1, "no second"]


@pytest.mark.parametrize("first", [{"match": "a"}, {"run_id": "r1"}])
@pytest.mark.parametrize(
    "then", [{"match": "a"}, {"match": "b"}, {"run_id": "r1"}]
)
def test_the_same_event_id_for_another_address_is_an_error(
    world: World, first: dict[str, str], then: dict[str, str]
) -> None:
    @workflow
    def waiter(ctx: WorkflowContext) -> None: ...

    waiter.trigger(run_id="r1")
    send_event("payment", 1, event_id="e1", **first)
    if then == first:
        assert send_event("payment", 2, event_id="e1", **then) is False
        return

    with transaction.atomic(), pytest.raises(EventConflict) as caught:
        send_event("payment", 2, event_id="e1", **then)

    assert str(caught.value) == (
        "Event 'payment' with the id 'e1' was already sent to another run or "
        "match, and an event is consumed once. Give each address an id of its "
        'own, such as f"{event_id}-{match}".'
    )
    assert Event.objects.get().data == 1


def test_each_event_goes_to_one_wait_in_the_order_sent(every: World) -> None:
    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        return [
            ctx.step.wait_for_event(f"wait-{n}", "tick", match="k")
            for n in range(3)
        ]

    run_id = waiter.trigger()
    for n in range(3):
        send_event("tick", n, match="k")

    assert every.finish(run_id).result == [0, 1, 2]


def test_one_event_wakes_two_waiting_runs_and_one_gets_it(
    every: World,
) -> None:
    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("paid", "payment", match="k")

    runs = [waiter.trigger(), waiter.trigger()]
    every.deliver()

    send_event("payment", "first", match="k")
    every.deliver()
    statuses = sorted(every.run_of(run).status for run in runs)
    assert statuses == ["completed", "waiting"]

    send_event("payment", "second", match="k")
    results = sorted(every.finish(run).result for run in runs)
    assert results == ["first", "second"]


def test_a_time_limit_raises_and_takes_the_same_branch_each_time(
    every: World,
) -> None:
    branches: list[str] = []

    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        try:
            return ctx.step.wait_for_event("paid", "payment", timeout="1h")
        except EventTimeout as error:
            branches.append(str(error))
        return ctx.step.wait_for_event("again", "payment", timeout="1h")

    run_id = waiter.trigger()
    every.pass_time("90m")
    send_event("payment", "late", run_id=run_id)
    run = every.finish(run_id)

    assert (run.status, run.result) == ("completed", "late")
    assert set(branches) == {
        "Step 'paid' was tried once and failed: EventTimeout: "
        "no event 'payment' since 2026-01-01 00:00:00"
    }


def test_a_wait_without_limit_has_no_message_and_is_never_overdue(
    every: World,
) -> None:
    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("paid", "payment")

    run_id = waiter.trigger()
    every.pass_time("365d")

    run = every.run_of(run_id)
    assert (run.status, run.wake_at, run.sweep_at) == ("waiting", None, None)
    assert (run.messages, memory_transport().waiting) == (1, [])


def test_an_event_commits_with_the_callers_transaction(every: World) -> None:
    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("paid", "payment")

    run_id = waiter.trigger()
    every.deliver()

    with transaction.atomic():
        send_event("payment", 1, run_id=run_id)
        transaction.set_rollback(True)

    assert (every.deliver(), Event.objects.count()) == (0, 0)
    assert every.run_of(run_id).status == "waiting"


def test_an_event_for_a_sleeping_run_sends_no_message(every: World) -> None:
    @workflow
    def sleeper(ctx: WorkflowContext) -> Any:
        ctx.step.sleep("nap", "1h")
        return ctx.step.wait_for_event("paid", "payment")

    run_id = sleeper.trigger()
    every.deliver()

    send_event("payment", "early", run_id=run_id)
    assert every.deliver() == 0
    assert every.finish(run_id).result == "early"


def test_an_event_that_comes_while_the_run_executes_is_found(
    every: World,
) -> None:
    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        ctx.step.run("tell", send_event, "paid", 1, run_id=ctx.run_id)
        return ctx.step.wait_for_event("wait", "paid")

    run = every.finish(waiter.trigger())

    assert (run.result, run.messages) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"name": "x"},
            TypeError,
            "An event goes to one run or to one match. Write send_event(name,"
            " data, run_id=…) or send_event(…, match=…).",
        ),
        (
            {"name": "x", "run_id": "r", "match": "m"},
            TypeError,
            "An event goes to one run or to one match. Write send_event(name,"
            " data, run_id=…) or send_event(…, match=…).",
        ),
        (
            {"name": "x", "run_id": "nobody"},
            RunNotFound,
            "No run has the id 'nobody'. Use the id that trigger() returned, "
            "after its commit.",
        ),
        (
            {"name": "", "match": "m"},
            ValueError,
            "Invalid name '', expected text without control characters.",
        ),
        (
            {"name": "x", "match": "m", "event_id": ""},
            ValueError,
            "Invalid event_id '', expected text without control characters.",
        ),
        (
            {"name": "a\0b", "match": "m"},
            ValueError,
            "Invalid name 'a\\x00b', expected text without control "
            "characters.",
        ),
        (
            {"name": "x", "match": "m" * 256},
            ValueError,
            "Invalid match of 256 characters, expected at most 255.",
        ),
        (
            {"name": "x", "match": "m", "data": [object()]},
            SerializationError,
            "The data of event 'x'[0] cannot be recorded: builtins.object is "
            "not a type of plain data. Use plain data, a dataclass or an id, "
            "and load the rest again where it is used.",
        ),
    ],
)
def test_bad_events_are_refused(
    world: World, arguments: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        send_event(**arguments)

    assert str(caught.value) == message
    assert Event.objects.count() == 0
