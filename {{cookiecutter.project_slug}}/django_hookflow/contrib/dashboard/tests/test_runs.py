"""Runs are listed and looked at in pages."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries

from django_hookflow.contrib.dashboard.tests.conftest import Person
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World
from django_hookflow.workflows.registry import get_workflow

RUNS = "/dashboard/"
HOSTILE = "<script>alert(1)</script>\"'\ud800"


def begin(person: Person, kind: str, **data: Any) -> str:
    workflow = get_workflow(f"api-{kind}")
    return workflow.trigger(data, owner=str(person.user.pk))


def page_of(run_id: str, action: str = "") -> str:
    name = f"hookflow_dashboard:{action or 'run'}"
    return reverse(name, args=[run_id])


def text_of(response: Any) -> str:
    """Return the words of a page."""
    text = re.sub(r"<[^>]*>", " ", response.content.decode())
    return re.sub(r"\s+", " ", text)


def test_the_list_has_runs_with_numbers_by_status(
    world: World, ada: Person
) -> None:
    done = begin(ada, "sum", order=7)
    begin(ada, "nap")
    world.deliver()

    shown = text_of(ada.get(RUNS))
    waiting = text_of(ada.get(RUNS, {"status": "waiting"}))

    assert "all 2" in shown
    assert "waiting 1" in shown
    assert "completed 1" in shown
    assert done in shown
    assert "order=7" in shown
    assert done not in waiting
    assert "completed 1" in waiting  # the numbers are those of all


def test_runs_are_searched(world: World, ada: Person, bob: Person) -> None:
    first = begin(ada, "sum", order=7)
    second = begin(ada, "sum", order=8)
    of_bob = begin(bob, "sum", order=7)
    world.deliver()

    by_attribute = text_of(ada.get(RUNS, {"q": "order=7"}))
    by_id = ada.get(RUNS, {"q": first})
    by_id_of_other = ada.get(RUNS, {"q": of_bob})
    by_workflow = ada.get(RUNS, {"workflow_id": "api-nap", "q": ""})

    assert first in by_attribute
    assert second not in by_attribute
    assert of_bob not in by_attribute
    assert by_id.status_code == 302
    assert by_id.headers["Location"] == page_of(first)
    assert by_id_of_other.status_code == 200
    assert "No run fits." in text_of(by_id_of_other)
    assert "No run fits." in text_of(by_workflow)


def test_an_attribute_that_is_a_text_needs_no_quotes(
    world: World, ada: Person
) -> None:
    blue, red = begin(ada, "sum", order="blue"), begin(ada, "sum", order="red")
    world.deliver()

    shown = text_of(ada.get(RUNS, {"q": "order = blue"}))

    assert blue in shown
    assert red not in shown


def test_a_large_payload_is_shown_in_part(world: World, ada: Person) -> None:
    run_id = begin(ada, "nap", text="x" * 30_000)

    page = ada.get(page_of(run_id))

    assert "… and 10,0" in text_of(page)
    assert len(page.content) < 40_000
    assert page.context["editable"] == ""  # a fork must not get a part of it


def test_runs_are_found_by_their_subject(world: World, ada: Person) -> None:
    one, other = begin(ada, "sum"), begin(ada, "sum")
    WorkflowRun.objects.filter(run_id=one).update(subject="shop.order:7")

    shown = text_of(ada.get(RUNS, {"q": "shop.order:7"}))

    assert one in shown
    assert other not in shown


def test_older_runs_are_on_the_next_page(world: World, ada: Person) -> None:
    runs = [begin(ada, "sum") for _ in range(3)]

    first = ada.get(RUNS, {"limit": 2})
    link = re.search(r'href="(\?[^"]*cursor[^"]*)"', first.content.decode())
    assert link is not None
    second = text_of(ada.get(RUNS + link[1].replace("&amp;", "&")))

    assert runs[2] in text_of(first)
    assert runs[0] not in text_of(first)
    assert runs[0] in second
    assert runs[2] not in second


def test_the_page_of_a_run_says_why_it_waits(
    world: World, ada: Person
) -> None:
    run_id = begin(ada, "nap", order="blue")
    world.deliver()

    response = ada.get(page_of(run_id))
    shown = text_of(response)

    assert "It waits in step nap until" in shown
    assert "secret" in shown
    assert "&quot;order&quot;: &quot;blue&quot;" in shown
    assert response.content.count(b'class="span"') == 2
    assert [*response.context["buttons"]] == [
        "cancel",
        "pause",
        "send_event",
        "fork",
    ]


def test_a_step_has_a_page(world: World, ada: Person) -> None:
    run_id = begin(ada, "nap")
    world.deliver()

    shown = text_of(ada.get(f"{page_of(run_id)}steps/0/"))

    assert "&quot;s3cret&quot;" in shown
    missing = ada.get(f"{page_of(run_id)}steps/{10**20}/")
    assert missing.status_code == 404
    assert "has no step at position" in text_of(missing)


def test_later_steps_are_on_the_next_page(world: World, ada: Person) -> None:
    run_id = begin(ada, "sum")
    world.deliver()

    first = text_of(ada.get(page_of(run_id), {"limit": 1}))
    second = ada.get(page_of(run_id), {"after": 0})

    assert "Later steps" in first
    assert [row.step.step_id for row in second.context["steps"]] == ["two"]


def test_children_and_parents_are_linked(world: World, ada: Person) -> None:
    run_id = begin(ada, "parent")
    world.deliver()
    child = WorkflowRun.objects.get(parent__run_id=run_id).run_id

    of_parent = ada.get(page_of(run_id)).content.decode()
    of_child = ada.get(page_of(child)).content.decode()
    started = text_of(ada.get(RUNS, {"parent": run_id}))

    assert f'href="{page_of(child)}"' in of_parent
    assert f'href="{page_of(run_id)}"' in of_child
    assert child in started


def test_an_unchanged_page_is_not_sent_again(
    world: World, ada: Person
) -> None:
    run_id = begin(ada, "paid")
    world.deliver()
    for where in (RUNS, page_of(run_id)):
        first = ada.get(where)

        again = ada.get(where, headers={"if-none-match": first["ETag"]})

        assert again.status_code == 304
        assert again.content == b""

    etag = ada.get(page_of(run_id))["ETag"]
    ada.post(page_of(run_id, "pause"))
    changed = ada.get(page_of(run_id), headers={"if-none-match": etag})
    assert changed.status_code == 200
    assert changed["Cache-Control"] == "private, no-store"


def test_hostile_data_is_text(world: World, ada: Person) -> None:
    run_id = begin(ada, "fail", order=HOSTILE[:-1], half=HOSTILE)
    world.deliver()
    WorkflowRun.objects.filter(run_id=run_id).update(
        subject="<b>", error_type="<i>", error_message=HOSTILE[:-1]
    )
    charge = StepExecution.objects.get(step_id="charge")
    where = [
        RUNS,
        page_of(run_id),
        f"{page_of(run_id)}steps/{charge.position}/",
        "/dashboard/dead-letters/",
    ]

    for one in where:
        response = ada.get(one)

        assert response.status_code == 200
        text = response.content.decode()
        assert "<script>alert" not in text
        assert "<b>" not in text
        assert "<i>" not in text
    assert escape(HOSTILE[:-1]) in ada.get(page_of(run_id)).content.decode()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("status=sleepy", "status: &quot;sleepy&quot; is not a status."),
        ("cursor=x", "cursor: Invalid cursor."),
        ("colour=red", "colour: Unknown parameter."),
        ("limit=0", "limit: Ensure this value is greater than"),
        ("q=" + "x" * 300, "q: Ensure this field has no more than 255"),
        ("q=self=7", "attributes: "),
    ],
)
def test_a_wrong_parameter_is_refused(
    query: str, says: str, world: World, ada: Person
) -> None:
    response = ada.get(f"{RUNS}?{query}")

    assert response.status_code == 400
    assert says in text_of(response)


def test_pages_cost_the_same_with_more_rows(
    world: World,
    ada: Person,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    run_id = begin(ada, "sum")
    for _ in range(3):
        begin(ada, "sum")
        begin(ada, "fail")
    world.deliver()
    login = 2  # the session, and its user

    with django_assert_num_queries(login + 2):
        ada.get(RUNS)
    with django_assert_num_queries(login + 6):
        ada.get(page_of(run_id))
    with django_assert_num_queries(login + 1):
        ada.get("/dashboard/dead-letters/")
    with django_assert_num_queries(login + 2):
        ada.get("/dashboard/questions/")


def test_pages_are_for_people_who_are_logged_in(
    world: World, ada: Person, client: Client
) -> None:
    run_id = begin(ada, "nap")

    for where in (RUNS, page_of(run_id), "/dashboard/questions/"):
        response = client.get(where)

        assert response.status_code == 302
        assert response["Location"] == f"/admin/login/?next={where}"
    refused = client.post(page_of(run_id, "pause"))
    assert refused["Location"] == f"/admin/login/?next={RUNS}"
