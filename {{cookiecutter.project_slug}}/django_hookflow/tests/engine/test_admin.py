"""The admin: permissions, and text that is not UTF-8."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from django_hookflow import WorkflowContext
from django_hookflow import answer_question
from django_hookflow import fork_run
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.dlq import DeadLetterEntry
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import AuditEntry
from django_hookflow.models import Event
from django_hookflow.models import Question
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World


def staff(*permissions: str) -> Client:
    user = User.objects.create(username="ann", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=permissions)
    )
    client = Client()
    client.force_login(user)
    return client


def dead_letter(world: World) -> DeadLetterEntry:
    @workflow
    def failing(ctx: WorkflowContext) -> None:
        ctx.step.run("fine", str)
        raise ValueError("no")

    world.finish(failing.trigger(run_id="r1"))
    return DeadLetterEntry.objects.get()


def replay_in_admin(client: Client, letter: DeadLetterEntry) -> Any:
    return client.post(
        reverse("admin:django_hookflow_deadletterentry_changelist"),
        {"action": "replay_entries", "_selected_action": [letter.pk]},
        follow=True,
    )


def test_staff_who_may_change_dead_letters_replay_them(world: World) -> None:
    letter = dead_letter(world)
    client = staff("view_deadletterentry", "change_deadletterentry")

    first = replay_in_admin(client, letter)
    second = replay_in_admin(client, letter)

    assert "Replayed as" in first.content.decode()
    assert "was already replayed" in second.content.decode()
    assert WorkflowRun.objects.count() == 2


def test_a_run_links_to_those_it_belongs_to(world: World) -> None:
    broken = [True]

    @workflow
    def child(ctx: WorkflowContext) -> None:
        if broken[0]:
            raise ValueError("no")

    @workflow
    def parent(ctx: WorkflowContext) -> None:
        ctx.step.invoke("delegate", child)

    world.finish(parent.trigger(run_id="first"))
    broken[0] = False
    world.finish(DeadLetterEntry.objects.get().replay())
    client = staff("view_workflowrun")

    def page(run: WorkflowRun) -> str:
        url = reverse(
            "admin:django_hookflow_workflowrun_change", args=[run.pk]
        )
        return client.get(url).content.decode()

    first, second = WorkflowRun.objects.filter(depth=0).order_by("pk")
    begun = second.children.get()
    assert f">{begun.run_id}</a> completed" in page(second)
    assert 'continues <a href="' in page(second)
    assert "step delegate of <a" in page(begun)
    assert f">{second.run_id}</a>, continues <a" in page(begun)
    assert "continues" not in page(first)


def steer_in_admin(client: Client, action: str, *run_ids: str) -> str:
    runs = WorkflowRun.objects.filter(run_id__in=run_ids)
    response = client.post(
        reverse("admin:django_hookflow_workflowrun_changelist"),
        {
            "action": f"{action}_runs",
            "_selected_action": [run.pk for run in runs],
        },
        follow=True,
    )
    return response.content.decode()


def test_staff_who_may_change_runs_steer_them(world: World) -> None:
    @workflow
    def napping(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", "1d")

    dead_letter(world)
    napping.trigger(run_id="r2")
    world.deliver()
    client = staff("view_workflowrun", "change_workflowrun")

    page = steer_in_admin(client, "pause", "r1", "r2")
    assert "Run r2 is asked to pause" in page
    assert "is failed, so there is nothing to pause" in page
    assert world.run_of("r2").status == "paused"
    assert "Run r2 is resumed" in steer_in_admin(client, "resume", "r2")
    assert "Run r2 is asked to stop" in steer_in_admin(client, "cancel", "r2")
    assert "Run r1 is retried as" in steer_in_admin(client, "retry", "r1")
    who = {entry.by for entry in AuditEntry.objects.all()}
    assert who == {str(User.objects.get().pk)}
    assert AuditEntry.objects.count() == 4


@pytest.mark.parametrize("action", ["pause", "resume", "cancel", "retry"])
def test_staff_who_may_only_look_cannot_steer_runs(
    world: World, action: str
) -> None:
    dead_letter(world)
    client = staff("view_workflowrun", "change_deadletterentry")

    page = steer_in_admin(client, action, "r1")

    assert "Cancel, and undo" not in page
    assert not AuditEntry.objects.exists()


def test_staff_who_may_only_look_cannot_start_runs(world: World) -> None:
    letter = dead_letter(world)
    client = staff("view_deadletterentry")

    page = replay_in_admin(client, letter).content.decode()

    assert "Replay behind the completed steps" not in page
    assert WorkflowRun.objects.count() == 1


@pytest.mark.parametrize(
    "model", ["workflowrun", "event", "deadletterentry", "auditentry"]
)
def test_the_admin_shows_everything_and_changes_nothing(
    world: World, model: str
) -> None:
    dead_letter(world)
    send_event("x", {"a": 1}, match="m")
    fork_run("r1", "fine", reason="to see")
    WorkflowRun.objects.filter(origin__isnull=False).delete()
    client = Client()
    client.force_login(
        User.objects.create(username="root", is_staff=True, is_superuser=True)
    )
    listing = reverse(f"admin:django_hookflow_{model}_changelist")
    kind = apps.get_model("django_hookflow", model)
    row = kind._default_manager.get()
    page = reverse(f"admin:django_hookflow_{model}_change", args=[row.pk])

    assert client.get(listing).status_code == 200
    assert str(row) in client.get(page).content.decode()
    assert client.post(page, {"status": "completed"}).status_code == 403
    assert client.get(listing + "add/").status_code == 403


def test_the_admin_shows_text_that_is_no_utf_8(
    world: World, admin_client: Client
) -> None:
    name = os.fsdecode(b"caf\xe9.pdf")

    @workflow
    def scan(ctx: WorkflowContext) -> Any:
        ctx.step.run("list", lambda: {name: [name]})
        ctx.step.wait_for_event("go", "go")
        raise ValueError(name)

    run_id = scan.trigger({"file": name})
    world.deliver()
    send_event("go", name, run_id=run_id)
    run = world.finish(run_id)

    for row in (run, Event.objects.get(), DeadLetterEntry.objects.get()):
        label = row._meta.model_name
        page = admin_client.get(
            f"/admin/django_hookflow/{label}/{row.pk}/change/"
        )
        assert page.status_code == 200
        assert "caf\\udce9.pdf" in page.content.decode()


def test_an_error_type_that_is_no_utf_8_fails_the_run_all_the_same(
    world: World, admin_client: Client
) -> None:
    name = os.fsdecode(b"caf\xe9")

    @workflow
    def scan(ctx: WorkflowContext) -> None:
        raise WorkflowError(name, name, name)

    run = world.finish(scan.trigger())
    page = admin_client.get(
        f"/admin/django_hookflow/workflowrun/{run.pk}/change/"
    )

    assert (run.status, run.error_type) == ("failed", "caf\\udce9")
    assert page.status_code == 200


def test_the_admin_shows_questions_and_their_answers(world: World) -> None:
    @workflow
    def asks(ctx: WorkflowContext) -> None:
        ctx.step.ask("approve", to=ctx.owner, title="May it?", timeout="1d")

    client = staff("view_question")
    ann = User.objects.get()
    asks.trigger(run_id="r1", owner=ann)
    world.deliver()
    asked = Question.objects.get()
    answer_question(asked.pk, {"limit": "a lot"}, by=ann, via="page")

    listed = client.get(reverse("admin:django_hookflow_question_changelist"))
    page = client.get(
        reverse("admin:django_hookflow_question_change", args=[asked.pk])
    )

    assert "May it?" in listed.content.decode()
    for text in ("a lot", "r1", "page", "2026-01-02 00:00:00"):
        assert text in page.content.decode(), text
