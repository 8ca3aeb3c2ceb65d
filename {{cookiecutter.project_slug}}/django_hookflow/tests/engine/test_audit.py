"""Who did what to a run, and why."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import cancel_run
from django_hookflow import fork_run
from django_hookflow import pause_run
from django_hookflow import resume_run
from django_hookflow import retry_run
from django_hookflow import send_event
from django_hookflow import waive_undo
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RunNotOpen
from django_hookflow.models import AuditEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World


def refuse(result: Any) -> None:
    raise PermanentError("closed")


def napping() -> str:
    @workflow
    def napping(ctx: WorkflowContext) -> None:
        ctx.step.run("first", pause_run, ctx.run_id, by="itself")
        ctx.step.sleep("nap", "1d")

    return napping.trigger(run_id="run")


def entries() -> list[tuple[str, ...]]:
    kept = AuditEntry.objects.order_by("pk")
    return list(kept.values_list("action", "by", "before", "after", "reason"))


def test_a_new_event_to_a_run_is_kept_with_who_sent_it(world: World) -> None:
    user = get_user_model().objects.create_user("ada")
    run_id = napping()
    world.deliver()

    sent = [
        send_event("paid", run_id=run_id, event_id="1", by=user),
        send_event("paid", run_id=run_id, event_id="1", by=user),
        send_event("paid", run_id=run_id),
    ]

    assert sent == [True, False, True]
    assert entries()[-1:] == [
        ("event", str(user.pk), "paused", "paused", "paid")
    ]
    assert len(entries()) == 2
    with pytest.raises(TypeError, match="noted with the run that it goes to"):
        send_event("paid", match="order-7", by=user)


def test_each_change_is_kept_with_who_did_it_and_why(world: World) -> None:
    user = get_user_model().objects.create_user("ada")
    run_id = napping()
    world.deliver()
    pause_run(run_id, by="again", reason="changes nothing")
    resume_run(run_id, by=user)
    cancel_run(run_id, by=user, reason="wrong address")

    assert entries() == [
        ("pause", "itself", "running", "running, to pause", ""),
        ("resume", str(user.pk), "paused", "waiting", ""),
        ("cancel", str(user.pk), "waiting", "cancelled", "wrong address"),
    ]
    last = AuditEntry.objects.latest("pk")
    assert (last.created_at, str(last)) == (
        world.now,
        "cancel waiting: cancelled",
    )


def test_runs_that_are_begun_again_are_kept_with_their_origin(
    world: World,
) -> None:
    @workflow
    def failing(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=refuse).run("first", str)
        raise PermanentError("no")

    failing.trigger(run_id="run")
    world.finish("run")
    fork = fork_run("run", "first", by="ada", reason="to see")
    retry = retry_run("run", by="ada", reason="again")
    world.finish(retry)
    last = waive_undo(retry, "first", "by hand", by="ada")

    assert entries() == [
        ("fork", "ada", "failed", fork, "to see"),
        ("retry", "ada", "failed", retry, "again"),
        ("waive", "ada", "failed", last, "first: by hand"),
    ]


def test_what_is_refused_or_rolled_back_is_not_kept(world: World) -> None:
    run_id = napping()
    with transaction.atomic():
        cancel_run(run_id)
        transaction.set_rollback(True)
    assert entries() == []
    cancel_run(run_id)
    with pytest.raises(RunNotOpen):
        cancel_run(run_id)

    assert len(entries()) == 1


@pytest.mark.parametrize("by", [7, get_user_model()()])
def test_who_does_it_is_a_saved_user_or_a_text(
    world: World, by: object
) -> None:
    run_id = napping()

    with pytest.raises(TypeError, match=r"Invalid by .* Write by=request\.us"):
        cancel_run(run_id, by=by)
    assert world.run_of(run_id).status == "pending"


def test_entries_are_erased_with_their_run(world: World) -> None:
    cancel_run(napping(), by="ada")
    call_command("hookflow_erase", "run", stdout=io.StringIO())

    assert not WorkflowRun.objects.exists()
    assert not AuditEntry.objects.exists()
