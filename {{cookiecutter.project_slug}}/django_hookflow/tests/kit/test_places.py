"""Each fault happens where its name says, and the run ends well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.models import WorkflowRun
from django_hookflow.testing import Hookflow
from django_hookflow.testing.faults import PLACES
from django_hookflow.testing.faults import Fault
from django_hookflow.testing.faults import Faults

pytestmark = pytest.mark.django_db


@workflow
def charged_and_thanked(ctx: WorkflowContext) -> str:
    ctx.step.run("charge", charge, ctx.run_id)
    ctx.step.sleep("nap", "1d")
    return ctx.step.run("thank", lambda: "thanks")


def charge(run_id: str) -> int:
    deliveries = WorkflowRun.objects.get(run_id=run_id).deliveries
    Group.objects.create(name=f"charge {Group.objects.count()}")
    return deliveries


# How often the function of the step is called, how many deliveries claim the
# run, and how many rows there are.
UNHURT = (1, 2, 1)
OF_PLACES = {
    "charge:after-effect": (2, 3, 2),
    "charge:before-write": (2, 3, 1),
    "charge:after-record": (1, 3, 1),
    "charge:before-effect": (1, 3, 1),
    "delivery:before-commit": (1, 3, 1),
    "delivery:before-publish": UNHURT,
    "delivery:before-acknowledge": UNHURT,
    "delivery#2:before-acknowledge": UNHURT,
    "message:lost": UNHURT,
    "message#2:lost": UNHURT,
    "message:doubled": UNHURT,
    "message:delayed": UNHURT,
    "nap:after-record": (1, 3, 1),
}


@pytest.mark.parametrize("name", OF_PLACES)
def test_a_fault_happens_where_it_says(name: str) -> None:
    faults = Faults([Fault.parse(name)])

    with Hookflow(faults=faults).running() as hookflow:
        run = hookflow.run(charged_and_thanked)
        run.advance("1d")
        hookflow.finish()

        found = (
            hookflow.called["charge"],
            run.row.deliveries,
            Group.objects.count(),
        )
        assert (run.result, found) == ("thanks", OF_PLACES[name])
        assert run.row.crashes == 0


def test_all_places_are_tried() -> None:
    assert {name.rpartition(":")[2] for name in OF_PLACES} == {*PLACES}


def test_a_process_that_died_does_nothing_more() -> None:
    done: list[str] = []

    def stubborn() -> str:
        try:
            Group.objects.create(name="first")
        except BaseException:
            Group.objects.create(name="second")
            done.append("after its death")
        return "done"

    assert result_of(stubborn) == "done"
    assert done == []
    assert [group.name for group in Group.objects.all()] == ["first"]


def test_a_death_that_is_caught_is_one_nevertheless() -> None:
    def stubborn() -> str:
        try:
            Group.objects.create(name="first")
        except BaseException:
            return "caught"
        return "done"

    assert result_of(stubborn) == "done"


def result_of(function: Callable[[], str]) -> Any:
    """Return the result of a step that dies before its first write."""
    faults = Faults([Fault("write", "before-write")])
    with Hookflow(faults=faults).running() as hookflow:

        @workflow
        def stubborn(ctx: WorkflowContext) -> str:
            return ctx.step.run("write", function)

        return hookflow.run(stubborn).result
