"""The engine's rows as the people of the site read them."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse

from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.dlq import DeadLetterEntry
from django_hookflow.models import Event
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("workflows"),
]

RUNS = "/admin/django_hookflow/workflowrun/?run_id="


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def page_of(client: Client, row: WorkflowRun | DeadLetterEntry | Event) -> str:
    name = f"admin:django_hookflow_{row._meta.model_name}_change"
    return client.get(reverse(name, args=[row.pk])).content.decode()


def list_of(client: Client, model: str) -> str:
    name = f"admin:django_hookflow_{model}_changelist"
    return client.get(reverse(name)).content.decode()


def test_a_run_says_first_what_happened_and_folds_the_rest(
    world: World, root: Client
) -> None:
    @workflow
    def journey(ctx: WorkflowContext) -> dict[str, object]:
        ctx.step.run("pack", list, "ab")
        ctx.step.sleep("travel", "90s")
        return {"seen": "the sea", "bags": None}

    run = world.finish(journey.trigger(data={"to": "Brünn"}, run_id="r1"))

    page = page_of(root, run)

    story, machinery = page.split(">Machinery<")
    assert "{\n  &quot;to&quot;: &quot;Brünn&quot;\n}" in story
    assert "&quot;seen&quot;: &quot;the sea&quot;," in story
    assert "2026-01-01 00:00:00" in story
    assert "lease token" not in story.lower()
    assert "lease token" in machinery.lower()
    assert "[\n  &quot;a&quot;,\n  &quot;b&quot;\n]" in machinery
    assert "90\N{NO-BREAK SPACE}s" in machinery
    assert "0.0\N{NO-BREAK SPACE}ms" in machinery
    assert "90\N{NO-BREAK SPACE}s" in list_of(root, "workflowrun")


def test_a_run_that_waits_says_until_when(world: World, root: Client) -> None:
    @workflow
    def patience(ctx: WorkflowContext) -> None:
        ctx.step.sleep("wait", "2d")

    run_id = patience.trigger(run_id="r1")
    world.deliver()

    page = page_of(root, world.run_of(run_id))

    assert "until 2026-01-03 00:00:00" in page
    assert "2026-01-03 00:00:00" in list_of(root, "workflowrun")


def test_a_dead_letter_leads_to_its_run_and_to_that_of_its_replay(
    world: World, root: Client
) -> None:
    @workflow
    def failing(ctx: WorkflowContext) -> None:
        ctx.step.run("divide", divmod, 1, 0)

    run = world.finish(failing.trigger(run_id="a/b&c"))
    letter = DeadLetterEntry.objects.get()
    before = page_of(root, letter)
    replayed_as = letter.replay()
    letter.refresh_from_db()

    page = page_of(root, letter)

    assert f'href="{RUNS}{replayed_as}"' not in before
    for text in (page, list_of(root, "deadletterentry")):
        assert f'href="{RUNS}{replayed_as}"' in text
    assert f'href="{RUNS}a%2Fb%26c"' in page
    assert root.get(f"{RUNS}a%2Fb%26c").status_code == 200
    assert "ZeroDivisionError" in page_of(root, run)


def test_an_event_shows_its_data_as_json(world: World, root: Client) -> None:
    send_event("paid", {"by": "card"}, match="m")

    page = page_of(root, Event.objects.get())

    assert "{\n  &quot;by&quot;: &quot;card&quot;\n}" in page
    assert "2026-01-01 00:00:00" in list_of(root, "event")


def test_the_pages_have_their_style(world: World, root: Client) -> None:
    send_event("paid", match="m")

    page = page_of(root, Event.objects.get())

    sheet = "django_hookflow/admin.css"
    assert f'href="/static/{sheet}"' in page
    assert finders.find(sheet)
    assert not re.search(r"<style|style=", page)


def test_the_keyboard_reaches_what_scrolls(world: World, root: Client) -> None:
    send_event("paid", {"by": "card"}, match="m")

    page = page_of(root, Event.objects.get())

    boxes = re.findall(r'<pre class="hookflow-json"[^>]*>', page)
    assert boxes == ['<pre class="hookflow-json" tabindex="0">']
