"""Runs are steered by the buttons of their pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from django_hookflow import cancel_run
from django_hookflow import clock
from django_hookflow.contrib.api.access import SEE_PAYLOADS
from django_hookflow.contrib.api.access import STEER
from django_hookflow.contrib.dashboard.runs import ACTIONS
from django_hookflow.contrib.dashboard.runs import ANSWER_ANY
from django_hookflow.contrib.dashboard.tests.conftest import Person
from django_hookflow.contrib.dashboard.tests.test_runs import begin
from django_hookflow.contrib.dashboard.tests.test_runs import page_of
from django_hookflow.contrib.dashboard.tests.test_runs import text_of
from django_hookflow.models import AuditEntry
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Question
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World

INBOX = "/dashboard/questions/"
LETTERS = "/dashboard/dead-letters/"


def act(person: Client, run_id: str, action: str, **data: Any) -> Any:
    return person.post(page_of(run_id, action), data)


def run(run_id: str) -> WorkflowRun:
    return WorkflowRun.objects.get(run_id=run_id)


def audit() -> list[tuple[str, ...]]:
    kept = AuditEntry.objects.order_by("pk")
    return list(kept.values_list("action", "by", "before", "reason"))


def question_of(run_id: str) -> str:
    return f"{INBOX}{Question.objects.get(run__run_id=run_id).pk}/"


def test_a_run_is_paused_and_goes_on(world: World, ada: Person) -> None:
    run_id = begin(ada, "nap")
    world.deliver()
    by = str(ada.user.pk)

    paused = act(ada, run_id, "pause", reason="stocktaking")
    page = ada.get(page_of(run_id))
    status = run(run_id).status
    resumed = act(ada, run_id, "resume")

    assert paused.status_code == 302
    assert paused["Location"] == page_of(run_id)
    assert status == "paused"
    assert "The run is paused." in text_of(page)
    assert f"It is paused by {by}, because: stocktaking." in text_of(page)
    assert page.context["buttons"][:2] == ["cancel", "resume"]
    assert resumed.status_code == 302
    assert run(run_id).status == "waiting"
    assert audit() == [
        ("pause", by, "waiting", "stocktaking"),
        ("resume", by, "paused", ""),
    ]


def test_a_step_under_way_ends_before_a_pause(
    world: World, ada: Person
) -> None:
    run_id = begin(ada, "nap")
    world.deliver()
    WorkflowRun.objects.update(
        status="running",
        lease_token="of-a-worker",
        lease_until=clock.now() + timedelta(minutes=1),
    )

    act(ada, run_id, "pause")
    page = ada.get(page_of(run_id))

    assert "It is to pause after the step under way." in text_of(page)
    assert "It is asked to pause when the step under way" in text_of(page)
    assert "pause" not in page.context["buttons"]
    assert run(run_id).status == "running"


def test_a_run_is_cancelled_when_that_is_confirmed(
    world: World, ada: Person
) -> None:
    run_id = begin(ada, "nap")
    world.deliver()

    by_mistake = act(ada, run_id, "cancel", reason="so <b>bold</b>")
    before = run(run_id).status
    act(ada, run_id, "cancel", reason="bored", confirm="yes")

    assert by_mistake.status_code == 400
    assert "Check the box" in text_of(by_mistake)
    assert b"so &lt;b&gt;bold&lt;/b&gt;" in by_mistake.content
    assert before == "waiting"
    assert run(run_id).status == "cancelled"
    assert audit() == [("cancel", str(ada.user.pk), "waiting", "bored")]


def test_an_event_is_sent(world: World, ada: Person) -> None:
    run_id = begin(ada, "paid")
    world.deliver()

    page = ada.get(page_of(run_id))
    sent = act(ada, run_id, "send-event", name="paid", data='{"cents": 5}')
    world.deliver()

    assert b'value="paid"' in page.content
    assert sent.status_code == 302
    assert run(run_id).result == {"cents": 5}
    assert [one[:2] for one in audit()] == [("event", str(ada.user.pk))]
    assert "&quot;cents&quot;: 5" in text_of(ada.get(page_of(run_id)))


def test_a_failed_run_is_retried(world: World, ada: Person) -> None:
    run_id = begin(ada, "fail")
    world.deliver()

    answer = act(ada, run_id, "retry", reason="try again")

    begun = WorkflowRun.objects.get(origin__run_id=run_id)
    assert answer["Location"] == page_of(begun.run_id)
    assert audit() == [("retry", str(ada.user.pk), "failed", "try again")]
    page = ada.get(page_of(run_id))
    assert "Retried as" in text_of(page)
    assert page.context["buttons"] == ["fork"]


def test_a_run_is_forked_with_edited_data(world: World, ada: Person) -> None:
    run_id = begin(ada, "sum", all=[1])
    world.deliver()

    answer = act(ada, run_id, "fork", step_id="two", data='{"all": [1, 2, 4]}')
    world.deliver()

    begun = WorkflowRun.objects.get(origin__run_id=run_id)
    assert answer["Location"] == page_of(begun.run_id)
    assert begun.result == {"sum": 7}
    assert run(run_id).result == {"sum": 1}
    assert "Fork of" in text_of(ada.get(page_of(begun.run_id)))
    assert [one[:2] for one in audit()] == [("fork", str(ada.user.pk))]


def test_a_question_is_answered_by_its_form(world: World, ada: Person) -> None:
    run_id = begin(ada, "ask")
    world.deliver()
    where = question_of(run_id)

    inbox = text_of(ada.get(INBOX))
    form = ada.get(where)
    wrong = ada.post(where, {"reason": "x" * 21})
    still = run(run_id).status
    right = ada.post(where, {"reason": "fine", "approved": "on"})
    world.deliver()

    assert "Approve it?" in inbox
    assert b'name="reason"' in form.content
    assert wrong.status_code == 400
    assert "at most 20 characters" in text_of(wrong)
    assert still == "waiting"
    assert right["Location"] == page_of(run_id)
    assert run(run_id).result == {"approved": True, "reason": "fine"}
    answered = Question.objects.get()
    assert answered.answered_by == str(ada.user.pk)
    assert answered.via == "dashboard"
    assert "Nothing waits for you." in text_of(ada.get(INBOX))
    assert ada.post(where, {"reason": "late"}).status_code == 404


def test_a_question_without_a_form_takes_json(
    world: World, ada: Person
) -> None:
    run_id = begin(ada, "ask")
    world.deliver()
    Question.objects.update(form="")

    wrong = ada.post(question_of(run_id), {"answer": "{<oops>"})
    ada.post(question_of(run_id), {"answer": '{"approved": true}'})

    assert wrong.status_code == 400
    assert "answer: Invalid JSON" in text_of(wrong)
    assert b"{&lt;oops&gt;</textarea>" in wrong.content
    assert Question.objects.get().status == "answered"


def test_a_form_that_is_not_deployed_is_told(
    world: World, ada: Person
) -> None:
    run_id = begin(ada, "ask")
    world.deliver()
    Question.objects.update(form="shop.gone:Form")

    shown = ada.get(question_of(run_id))
    answered = ada.post(question_of(run_id), {"reason": "x"})

    assert shown.status_code == answered.status_code == 409
    assert "cannot be imported" in text_of(shown)


def test_questions_of_others_need_the_permission(
    world: World, ada: Person, bob: Person, login: Callable[..., Person]
) -> None:
    run_id = begin(ada, "ask", to=str(bob.user.pk))
    world.deliver()
    where = question_of(run_id)
    boss = login("boss", ANSWER_ANY, is_staff=True)

    page = ada.get(page_of(run_id))
    of_ada = ada.post(where, {"reason": "mine"})
    of_bob = bob.get(where)
    of_boss = boss.post(where, {"reason": "over"})

    assert "waits for user" in text_of(page)
    assert of_ada.status_code == 404
    assert of_bob.status_code == 200
    assert page_of(run_id) not in of_bob.content.decode()
    assert of_boss.status_code == 302
    assert Question.objects.get().answered_by == str(boss.user.pk)


def test_who_answers_may_not_see_the_run(
    world: World, ada: Person, bob: Person
) -> None:
    run_id = begin(ada, "ask", to=str(bob.user.pk))
    world.deliver()

    answered = bob.post(question_of(run_id), {"reason": "fine"})
    inbox = text_of(bob.get(INBOX))

    assert answered["Location"] == INBOX
    assert "Your answer to “Approve it?” is recorded." in inbox
    assert run_id not in inbox


def test_a_dead_letter_is_replayed_once(world: World, ada: Person) -> None:
    run_id = begin(ada, "fail")
    world.deliver()
    where = f"{LETTERS}{DeadLetterEntry.objects.get().pk}/replay/"

    shown = ada.get(LETTERS)
    replayed = ada.post(where, {"reason": "again"})
    twice = ada.post(where)

    begun = WorkflowRun.objects.get(origin__run_id=run_id)
    assert where in shown.content.decode()
    assert replayed["Location"] == page_of(begun.run_id)
    assert audit() == [("retry", str(ada.user.pk), "failed", "again")]
    assert twice.status_code == 409
    assert begun.run_id in text_of(twice)
    assert where not in twice.content.decode()
    open_ones = ada.get(LETTERS, {"is_replayed": "false"})
    assert run_id not in text_of(open_ones)


@pytest.mark.parametrize(
    ("action", "data", "status", "says"),
    [
        ("cancel", {"confirm": "yes"}, 400, "there is nothing to cancel"),
        ("pause", {}, 400, "there is nothing to pause"),
        ("resume", {}, 400, "there is nothing to resume"),
        ("retry", {}, 400, "there is nothing to retry"),
        ("send-event", {"name": "x"}, 400, "it takes no more events"),
        ("fork", {"step_id": "x"}, 400, "step: "),
    ],
)
def test_an_action_that_a_run_does_not_allow_changes_nothing(
    action: str,
    data: dict[str, str],
    status: int,
    says: str,
    world: World,
    ada: Person,
) -> None:
    run_id = begin(ada, "sum")
    world.deliver()

    answer = act(ada, run_id, action, **data)

    assert answer.status_code == status
    assert says in text_of(answer)
    assert answer.context["buttons"] == ["fork"]
    assert WorkflowRun.objects.count() == 1
    assert run(run_id).status == "completed"
    assert audit() == []


@pytest.mark.parametrize(
    ("action", "data", "says"),
    [
        ("send-event", {"name": ""}, "name: This field may not be blank."),
        ("send-event", {}, "name: This field may not be blank."),
        ("send-event", {"name": "a", "data": "{"}, "data: Invalid JSON"),
        ("send-event", {"name": "a", "data": "NaN"}, "NaN is not a JSON"),
        ("send-event", {"name": "a\0", "data": ""}, "name: "),
        ("send-event", {"name": "a", "data": "[" * 99_999}, "nested too"),
        ("send-event", {"name": "x" * 999}, "name: "),
        ("fork", {"step_id": "nap", "data": "7"}, "data: Expected a JSON"),
        ("fork", {"step_id": "", "data": ""}, "step_id: "),
        ("fork", {"step_id": "snap", "data": ""}, "Did you mean 'nap'?"),
        ("pause", {"reason": "x" * 2001}, "reason: "),
    ],
)
def test_bad_input_is_told_and_changes_nothing(
    action: str, data: dict[str, str], says: str, world: World, ada: Person
) -> None:
    run_id = begin(ada, "nap")
    world.deliver()

    answer = act(ada, run_id, action, **data)

    assert answer.status_code == 400
    assert says in text_of(answer).replace("&#x27;", "'")
    assert WorkflowRun.objects.count() == 1
    assert run(run_id).status == "waiting"
    assert run(run_id).events.count() == 0
    assert audit() == []


def everything_of(run_id: str) -> list[str]:
    """Return the addresses of a run that are there to be read."""
    return [page_of(run_id), f"{page_of(run_id)}steps/0/"]


def test_runs_of_others_are_not_there(
    world: World, ada: Person, bob: Person
) -> None:
    run_ids = [begin(ada, kind) for kind in ("nap", "fail", "ask")]
    world.deliver()
    letter = DeadLetterEntry.objects.get().pk

    pages = [bob.get(one) for key in run_ids for one in everything_of(key)]
    acts = [
        act(bob, run_id, action, confirm="yes", name="x")
        for run_id in run_ids
        for action in ACTIONS
    ]
    others = [
        bob.post(f"{LETTERS}{letter}/replay/"),
        bob.get(question_of(run_ids[2])),
        bob.post(question_of(run_ids[2]), {"reason": "x"}),
    ]
    lists = [bob.get(one) for one in ("/dashboard/", INBOX, LETTERS)]

    assert {one.status_code for one in pages + acts + others} == {404}
    for one in lists:
        assert one.status_code == 200
        assert not any(run_id in text_of(one) for run_id in run_ids)
    assert audit() == []


def test_staff_see_all_and_steer_with_the_permission(
    world: World, ada: Person, staff: Person, login: Callable[..., Person]
) -> None:
    begin(ada, "fail")
    run_id = begin(ada, "nap", card="4242")
    world.deliver()
    letter = DeadLetterEntry.objects.get().pk
    letters = staff.get(LETTERS)
    replayed = staff.post(f"{LETTERS}{letter}/replay/")

    page = staff.get(page_of(run_id))
    refused = act(staff, run_id, "pause")
    chief = login("chief", STEER, SEE_PAYLOADS, is_staff=True)
    of_chief = chief.get(page_of(run_id))
    paused = act(chief, run_id, "pause")

    assert page.context["buttons"] == []
    assert "4242" not in text_of(page)
    assert "s3cret" not in text_of(staff.get(f"{page_of(run_id)}steps/0/"))
    assert "django_hookflow.view_payloads" in text_of(page)
    assert refused.status_code == 403
    assert STEER in text_of(refused)
    assert not letters.context["rows"][0][1]  # no button
    assert replayed.status_code == 403
    assert "4242" in text_of(of_chief)
    assert paused.status_code == 302
    assert audit() == [("pause", str(chief.user.pk), "waiting", "")]


def test_a_workflow_may_be_closed_for_resumptions(
    world: World,
    ada: Person,
    login: Callable[..., Person],
    settings: LazySettings,
) -> None:
    run_id = begin(ada, "paid")
    world.deliver()
    settings.DJANGO_HOOKFLOW_API_ACCESS = {
        "api-paid": {
            "resume_permission_class": "rest_framework.permissions:IsAdminUser"
        }
    }

    asks = begin(ada, "ask")
    world.deliver()
    boss = login("boss", ANSWER_ANY)
    boss_refused = boss.get(question_of(asks))
    page = ada.get(page_of(run_id))
    refused = act(ada, run_id, "send-event", name="paid")

    assert boss_refused.status_code == 404  # the run of another
    assert page.context["buttons"] == ["cancel", "pause", "fork"]
    assert refused.status_code == 403
    assert run(run_id).events.count() == 0


def test_workflows_may_be_closed_altogether(
    world: World, ada: Person, settings: LazySettings
) -> None:
    run_id = begin(ada, "paid")
    settings.DJANGO_HOOKFLOW_API_ACCESS = {
        "*": {
            "crud_permission_class": "rest_framework.permissions:IsAdminUser"
        }
    }

    pages = [ada.get(one) for one in ("/dashboard/", page_of(run_id), LETTERS)]

    assert [one.status_code for one in pages] == [403, 403, 403]
    assert not any(run_id in text_of(one) for one in pages)


def test_too_many_actions_are_refused(
    world: World, ada: Person, settings: LazySettings
) -> None:
    settings.DJANGO_HOOKFLOW_API_ACCESS = {}
    settings.DJANGO_HOOKFLOW_API_CREATION_RATE = "1/hour"
    run_id = begin(ada, "sum")
    world.deliver()

    first = act(ada, run_id, "fork", step_id="two")
    second = act(ada, run_id, "fork", step_id="two")

    assert first.status_code == 302
    assert second.status_code == 429
    assert "throttled" in text_of(second)
    assert 0 < int(second["Retry-After"]) <= 3600


def test_a_form_of_another_site_is_refused(
    world: World, ada: Person, settings: LazySettings
) -> None:
    run_id = begin(ada, "nap")
    world.deliver()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ada.user)

    refused = act(browser, run_id, "pause")
    browser.get(page_of(run_id))
    token = browser.cookies["csrftoken"].value
    allowed = act(browser, run_id, "pause", csrfmiddlewaretoken=token)

    assert refused.status_code == 403
    assert allowed.status_code == 302
    assert len(audit()) == 1


def test_a_demo_asks_for_the_token_of_forms_too(
    world: World, ada: Person, settings: LazySettings
) -> None:
    settings.DJANGO_HOOKFLOW_API_REQUIRE_AUTHENTICATION = False
    run_id = begin(ada, "nap")
    world.deliver()
    WorkflowRun.objects.update(owner="")

    page = Client().get(page_of(run_id))
    refused = act(Client(enforce_csrf_checks=True), run_id, "pause")

    assert page.status_code == 200
    assert refused.status_code == 403
    assert run(run_id).status == "waiting"


def test_pages_that_only_read_take_no_forms(world: World, ada: Person) -> None:
    run_id = begin(ada, "nap")

    assert ada.post(page_of(run_id)).status_code == 405
    assert ada.get(page_of(run_id, "cancel")).status_code == 405
    assert ada.get(f"{INBOX}{10**25}/").status_code == 404
    assert ada.post(f"{LETTERS}{10**25}/replay/").status_code == 404
    body = json.dumps({"reason": "x"})
    answer = ada.post(
        page_of(run_id, "pause"), body, content_type="application/json"
    )
    assert answer.status_code == 415
    assert run(run_id).status == "pending"


def test_a_run_that_became_another_meanwhile_is_told(
    world: World, ada: Person
) -> None:
    run_id = begin(ada, "nap")
    world.deliver()
    ada.get(page_of(run_id))
    cancel_run(run_id)

    answer = act(ada, run_id, "pause")

    assert answer.status_code == 400
    assert "is cancelled, so there is nothing to pause" in text_of(answer)
