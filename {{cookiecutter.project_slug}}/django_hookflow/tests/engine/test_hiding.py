"""Runs are hidden from lists, and stay for the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from django_hookflow import WorkflowContext
from django_hookflow import hide_run
from django_hookflow import workflow
from django_hookflow.exceptions import RunNotFound
from django_hookflow.models import AuditEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World


@workflow
def hideable(ctx: WorkflowContext) -> None:
    if ctx.data.get("naps"):
        ctx.step.sleep("nap", "1d")


def entries() -> list[tuple[str, ...]]:
    kept = AuditEntry.objects.order_by("pk")
    return list(kept.values_list("action", "by", "before", "after", "reason"))


def shown() -> list[str]:
    runs = WorkflowRun.objects.not_hidden()
    return list(runs.values_list("run_id", flat=True))


def test_an_open_run_is_cancelled_and_hidden(world: World) -> None:
    user = get_user_model().objects.create_user("ada")
    hideable.trigger({"naps": True}, run_id="open")
    hideable.trigger({"naps": True}, run_id="other")
    world.deliver()

    hide_run("open", by=user, reason="a test order")
    hide_run("open", by=user)

    assert shown() == ["other"]
    assert world.run_of("open").status == "cancelled"
    assert entries() == [
        ("cancel", str(user.pk), "waiting", "cancelled", "a test order"),
        ("hide", str(user.pk), "waiting", "cancelled", "a test order"),
    ]


def test_a_run_that_has_ended_is_hidden_as_it_is(world: World) -> None:
    hideable.trigger(run_id="ended")
    world.deliver()

    hide_run("ended")

    assert shown() == []
    assert world.run_of("ended").status == "completed"
    assert entries() == [("hide", "", "completed", "completed", "")]


def test_a_run_that_is_not_there_cannot_be_hidden(world: World) -> None:
    with pytest.raises(RunNotFound, match="No run has the id 'none'"):
        hide_run("none")
