"""Runs of a row: `trigger(about=row)` and `for_object(row)`."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.contrib.auth.models import User

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RunConflict
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World


@workflow(workflow_id="of-a-row")
def of_a_row(ctx: WorkflowContext) -> None:
    """Do nothing."""


class Member(User):
    class Meta:
        app_label = "auth"
        proxy = True


def found(row: Any) -> list[str]:
    runs = WorkflowRun.objects.for_object(row).order_by("run_id")
    return [run.run_id for run in runs]


def test_the_runs_of_a_row_are_found(world: World) -> None:
    ada = User.objects.create(username="ada")
    bob = User.objects.create(username="bob")
    group = Group.objects.create(pk=ada.pk, name="group")
    for run_id, row in [("1", ada), ("2", ada), ("3", group), ("4", None)]:
        of_a_row.trigger(run_id=run_id, about=row)

    assert found(ada) == found(Member.objects.get(pk=ada.pk)) == ["1", "2"]
    assert (found(bob), found(group)) == ([], ["3"])
    assert world.run_of("1").subject == f"auth.user:{ada.pk}"


@pytest.mark.sqlite
def test_an_index_finds_them(world: World) -> None:
    ada = User.objects.create(username="ada")

    plan = WorkflowRun.objects.for_object(ada).order_by("-id").explain()

    assert "USING INDEX hookflow_of_subject" in plan


@pytest.mark.parametrize("row", [User(username="new"), "order-7", 7])
def test_what_is_no_saved_row_starts_nothing(world: World, row: Any) -> None:
    with pytest.raises(TypeError, match="expected a saved instance"):
        of_a_row.trigger(about=row)
    with pytest.raises(TypeError, match="expected a saved instance"):
        found(row)

    assert not WorkflowRun.objects.exists()


def test_the_run_of_another_row_is_another_run(world: World) -> None:
    ada = User.objects.create(username="ada")
    of_a_row.trigger(run_id="mine", about=ada)
    assert of_a_row.trigger(run_id="mine", about=ada) == "mine"

    with pytest.raises(RunConflict, match="another row that it is about"):
        of_a_row.trigger(run_id="mine")


def test_what_continues_a_run_is_about_the_same(every: World) -> None:
    ada = User.objects.create(username="ada")
    broken = [True]

    @workflow
    def failing(ctx: WorkflowContext) -> None:
        ctx.step.invoke("child", of_a_row)
        if broken:
            raise PermanentError("not yet")

    first = failing.trigger(about=ada)
    every.finish(first)
    broken.clear()
    second = DeadLetterEntry.objects.get().replay()
    every.finish(second)

    assert sorted(found(ada)) == sorted([first, second])
