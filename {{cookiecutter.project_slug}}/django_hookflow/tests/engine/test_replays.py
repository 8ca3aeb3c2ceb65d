"""The first pass and a replay see the same arguments and results."""

from __future__ import annotations

import decimal
from collections import defaultdict
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Any
from typing import NamedTuple

import pytest
from django.utils import timezone
from django.utils import translation

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.testing.world import World


@dataclass
class Line:
    prices: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Frozen:
    prices: list[int]


class Pair(NamedTuple):
    name: str
    prices: list[int]


def ring() -> list[Any]:
    made: list[Any] = [1]
    made.append(made)
    return made


GIVEN: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
    (lambda: {"a": 1}, lambda it: it.update(a=2)),
    (lambda: {"a": {"b": [1]}}, lambda it: it["a"]["b"].append(2)),
    (lambda: defaultdict(list, a=[1]), lambda it: it["a"].append(2)),
    (lambda: [1], lambda it: it.append(2)),
    (lambda: [[1]], lambda it: it[0].append(2)),
    (lambda: ([1],), lambda it: it[0].append(2)),
    (lambda: Pair("a", [1]), lambda it: it.prices.append(2)),
    (lambda: {1}, lambda it: it.add(2)),
    (lambda: bytearray(b"a"), lambda it: it.extend(b"b")),
    (lambda: Line([1]), lambda it: setattr(it, "prices", [2])),
    (lambda: Line([1]), lambda it: it.prices.append(2)),
    (lambda: [Frozen([1])], lambda it: it[0].prices.append(2)),
    (ring, lambda it: it[1].append(2)),
]


@pytest.mark.parametrize(("make", "change"), GIVEN)
@pytest.mark.parametrize("by_name", [False, True])
def test_a_change_of_an_argument_does_not_leave_its_step(
    every: World,
    make: Callable[[], Any],
    change: Callable[[Any], Any],
    by_name: bool,
) -> None:
    seen: list[str] = []

    def work(it: Any) -> None:
        assert repr(it) == before  # with its own type
        change(it)

    @workflow
    def working(ctx: WorkflowContext) -> None:
        given = make()
        if by_name:
            ctx.step.run("work", work, it=given)
        else:
            ctx.step.run("work", work, given)
        seen.append(repr(given))
        ctx.step.sleep("nap", 1)

    before = repr(make())
    run = every.finish(working.trigger())

    assert (run.status, seen) == ("completed", [before, before])


def test_what_is_not_data_is_given_as_it_is(every: World) -> None:
    class Client: ...

    client = Client()

    @workflow
    def working(ctx: WorkflowContext) -> bool:
        return ctx.step.run("work", lambda it: it[0] is client, [client])

    assert every.finish(working.trigger()).result is True


def test_a_change_of_a_result_is_not_in_the_journal(every: World) -> None:
    kept = {"total": 0}
    seen: list[int] = []

    @workflow
    def working(ctx: WorkflowContext) -> None:
        result = ctx.step.run("work", lambda: kept)
        seen.append(result["total"])
        result["total"] = kept["total"] = 500
        ctx.step.sleep("nap", 1)

    every.finish(working.trigger())

    assert seen == [0, 0]


tenant: ContextVar[str] = ContextVar("tenant", default="nobody's")


def change_all() -> None:
    translation.activate("de")
    timezone.activate("Asia/Kathmandu")
    decimal.getcontext().prec = 3
    tenant.set("acme")


def look() -> list[Any]:
    return [
        translation.get_language(),
        timezone.get_current_timezone_name(),
        Decimal(10) / 3 == Decimal("3.33"),
        tenant.get(),
    ]


def test_what_a_delivery_changes_around_it_ends_with_it(
    every: World,
) -> None:
    @workflow
    def changing(ctx: WorkflowContext) -> None:
        ctx.step.run("change", change_all)
        ctx.step.sleep("nap", 1)

    @workflow
    def looking(ctx: WorkflowContext) -> list[Any]:
        return ctx.step.run("look", look)

    here = look()
    every.finish(changing.trigger())
    run = every.finish(looking.trigger())

    assert run.result == look() == here


def test_what_the_thread_was_left_with_does_not_reach_a_delivery(
    every: World,
) -> None:
    @workflow
    def looking(ctx: WorkflowContext) -> list[Any]:
        return ctx.step.run("look", look)[:3]

    with (
        translation.override("de"),
        timezone.override("Asia/Kathmandu"),
        decimal.localcontext(prec=3),
    ):
        run = every.finish(looking.trigger())

    assert run.result == look()[:3]
