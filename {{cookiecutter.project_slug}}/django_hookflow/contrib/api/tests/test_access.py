"""Owners see their own runs, staff see all, and workflows have classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.urls import URLPattern
from django.urls import reverse
from rest_framework.test import APIClient

from django_hookflow.contrib.api import urls
from django_hookflow.contrib.api.checks import check_access
from django_hookflow.contrib.api.checks import check_authentication
from django_hookflow.contrib.api.tests import classes
from django_hookflow.contrib.api.tests.conftest import V1
from django_hookflow.contrib.api.tests.test_flows import FLOWS
from django_hookflow.contrib.api.tests.test_flows import start
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Question
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World

CLASSES = "django_hookflow.contrib.api.tests.classes"
BODIES: dict[str, dict[str, Any]] = {
    "fork": {"step_id": "first"},
    "events": {"name": "paid"},
    "questions": {"answer": {"reason": "x"}},
    "flow-list": {"flow_type": "api-nap"},
    "question-answer": {"answer": {"reason": "x"}},
}


def rule(**given: str) -> dict[str, str]:
    return {f"{key}_class": f"{CLASSES}:{name}" for key, name in given.items()}


@pytest.fixture
def runs_of_ada(world: World, ada: APIClient) -> list[str]:
    """One of each kind, with children, a question and a dead letter."""
    for kind in ("nap", "paid", "ask", "fail", "parent", "sum"):
        start(ada, f"api-{kind}", order=4711, to="")
    world.deliver()
    failed = WorkflowRun.objects.get(workflow_id="api-fail")
    ada.post(f"{FLOWS}{failed.run_id}/retry/", {}, format="json")
    world.deliver()
    return list(WorkflowRun.objects.values_list("run_id", flat=True))


def methods_of(actions: Mapping[str, str]) -> list[str]:
    """Return the methods of a view; the framework adds HEAD at its first."""
    return [method for method in actions if method != "head"]


def requests(route: URLPattern) -> list[tuple[str, str]]:
    """Return each method and address of a route, for each row of it."""
    kinds: dict[str, list[Any]] = {
        "run_id": list(WorkflowRun.objects.values_list("run_id", flat=True)),
        "name": ["api-nap"],
        "pk": [
            *Question.objects.values_list("pk", flat=True),
            *DeadLetterEntry.objects.values_list("pk", flat=True),
        ],
    }
    (key,) = [*route.pattern.converters] or [""]
    methods = methods_of(route.callback.actions)
    wheres = [[value] for value in kinds[key]] if key else [[]]  # type: list[list[Any]]
    return [
        (method, reverse(f"hookflow_api:{route.name}", args=args))
        for method in methods
        for args in wheres
    ]


@pytest.mark.parametrize("route", urls.urlpatterns, ids=lambda one: one.name)
def test_no_answer_to_another_user_names_a_run(
    world: World, runs_of_ada: list[str], bob: APIClient, route: URLPattern
) -> None:
    before = list(WorkflowRun.objects.order_by("pk").values())
    body = BODIES.get(str(route.name).removeprefix("flow-")) or BODIES.get(
        str(route.name), {}
    )
    tried = requests(route)

    for method, where in tried:
        answer = getattr(bob, method)(where, body, format="json")
        text = answer.content.decode() + json.dumps(dict(answer.headers))
        # The address that was asked for is in the sentence of a 404.
        named = [
            one for one in runs_of_ada if one in text and one not in where
        ]
        assert named == [], where
        if any(one in where for one in runs_of_ada):
            assert answer.status_code == 404, where

    assert tried
    kept = WorkflowRun.objects.exclude(owner=str(bob.user.pk))
    assert list(kept.order_by("pk").values()) == before


def test_a_run_of_another_and_one_that_is_not_there_look_alike(
    world: World, ada: APIClient, bob: APIClient
) -> None:
    run_id = start(ada, "api-nap")

    others = bob.get(f"{FLOWS}{run_id}/")
    missing = bob.get(f"{FLOWS}{'0' * 32}/")

    assert (others.status_code, missing.status_code) == (404, 404)
    assert (
        others.json()["detail"].replace(run_id, "0" * 32)
        == (missing.json()["detail"])
    )


def test_staff_see_all_runs_and_change_them_by_permission(
    world: World, ada: APIClient, login: Callable[..., APIClient]
) -> None:
    run_id = start(ada, "api-nap", card="4242")
    world.deliver()
    staff = login("staff", is_staff=True)
    clerk = login("clerk", "x.change_workflowrun", is_staff=True)
    auditor = login("auditor", "x.view_payloads", is_staff=True)

    listed = staff.get(FLOWS, {"owner": str(ada.user.pk)}).json()["results"]
    hidden = staff.get(f"{FLOWS}{run_id}/").json()
    shown = auditor.get(f"{FLOWS}{run_id}/").json()
    refused = staff.post(f"{FLOWS}{run_id}/cancel/")
    cancelled = clerk.post(f"{FLOWS}{run_id}/cancel/")

    assert [one["id"] for one in listed] == [run_id]
    assert (hidden["state"], hidden["payloads_hidden"]) == (None, True)
    assert hidden["steps"][0]["result"] is None
    assert shown["state"] == {"card": "4242"}
    assert shown["steps"][0]["result"] == "s3cret"
    assert refused.status_code == 403
    assert "django_hookflow.change_workflowrun" in refused.json()["detail"]
    assert cancelled.json()["status"] == "cancelled"


def test_a_filter_does_not_tell_payloads_that_are_not_shown(
    world: World, ada: APIClient, login: Callable[..., APIClient]
) -> None:
    run_id = start(ada, "api-nap", card="4242")
    staff = login("staff", is_staff=True)
    auditor = login("auditor", "x.view_payloads", is_staff=True)

    found = {
        client: client.get(FLOWS, {"state__card": "4242"}).json()["results"]
        for client in (ada, staff, auditor)
    }

    assert found[staff] == []
    assert [one["id"] for one in found[ada]] == [run_id]
    assert [one["id"] for one in found[auditor]] == [run_id]


def test_the_payload_of_a_dead_letter_is_a_payload(
    world: World, ada: APIClient, login: Callable[..., APIClient]
) -> None:
    start(ada, "api-fail", card="4242")
    world.deliver()
    letter = DeadLetterEntry.objects.get()
    where = f"{V1}/dead-letters/{letter.pk}/"
    staff = login("staff", is_staff=True)
    clerk = login("clerk", "x.change_workflowrun", is_staff=True)

    assert ada.get(where).json()["payload"]["data"] == {"card": "4242"}
    assert staff.get(where).json()["payload"] is None
    assert staff.post(f"{where}replay/").status_code == 403
    assert clerk.post(f"{where}replay/").status_code == 201
    letter.workflow_run.delete()
    assert ada.get(where).status_code == 404
    assert staff.get(where).json()["payload"] is None
    assert [
        one["id"] for one in staff.get(f"{V1}/dead-letters/").json()["results"]
    ] == [letter.pk]
    assert clerk.post(f"{where}replay/").status_code == 404


@pytest.mark.parametrize("name", ["flows/", "flow-types/", "questions/",
                                  "dead-letters/", "workflows/"])  # fmt: skip
def test_people_without_an_account_are_refused(name: str) -> None:
    answer = APIClient().get(f"{V1}/{name}")

    assert answer.status_code == 403
    assert "credentials were not provided" in answer.json()["detail"]


def test_a_page_of_another_site_starts_no_run(
    world: World, ada: APIClient
) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(ada.user)

    answer = client.post(FLOWS, {"flow_type": "api-nap"}, format="json")

    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize(
    "switch",
    [
        "DJANGO_HOOKFLOW_API_REQUIRE_AUTHENTICATION",
        "GRAFLOW_REQUIRE_AUTHENTICATION",
    ],
)
def test_a_demo_lets_everyone_use_the_runs_without_an_owner(
    world: World, ada: APIClient, settings: LazySettings, switch: str
) -> None:
    start(ada, "api-nap")
    setattr(settings, switch, False)
    anyone = APIClient()

    run_id = start(anyone, "api-ask", to="x")
    world.deliver()
    listed = anyone.get(FLOWS).json()["results"]
    unanswered = anyone.post(
        f"{FLOWS}{run_id}/resume/", {"answer": {"reason": "x"}}, format="json"
    )
    cancelled = anyone.post(f"{FLOWS}{run_id}/cancel/")

    assert [one["id"] for one in listed] == [run_id]
    assert anyone.get(f"{V1}/questions/").json()["results"] == []
    assert unanswered.status_code == 403
    assert cancelled.json()["status"] == "cancelled"
    assert [one.id for one in check_authentication()] == ["hookflow_api.W001"]
    settings.DEBUG = True
    assert check_authentication() == []


def test_a_workflow_may_be_for_some_people_only(
    world: World, ada: APIClient, bob: APIClient, settings: LazySettings
) -> None:
    mine = start(bob, "api-nap")
    other = start(bob, "api-sum")
    settings.DJANGO_HOOKFLOW_API_ACCESS = {
        "api-nap": rule(crud_permission="OnlyAda")
    }

    types = [one["flow_type"] for one in bob.get(f"{V1}/flow-types/").json()]
    begun = bob.post(FLOWS, {"flow_type": "api-nap"}, format="json")

    assert "api-nap" not in types
    assert "api-sum" in types
    assert begun.status_code == 403
    assert bob.get(f"{FLOWS}{mine}/").status_code == 403
    listed = bob.get(FLOWS).json()["results"]
    assert [one["id"] for one in listed] == [other]
    assert bob.get(f"{FLOWS}stats/").json()["by_type"] == {"api-sum": 1}
    assert (
        ada.post(FLOWS, {"flow_type": "api-nap"}, format="json").status_code
        == 201
    )


def test_all_workflows_but_one_may_be_closed(
    world: World, bob: APIClient, settings: LazySettings
) -> None:
    mine = start(bob, "api-nap")
    start(bob, "api-sum")
    settings.DJANGO_HOOKFLOW_API_ACCESS = {
        "*": rule(crud_permission="Nobody"),
        "api-nap": {
            "crud_permission_class": "rest_framework.permissions:AllowAny"
        },
    }

    listed = bob.get(FLOWS).json()["results"]
    settings.DJANGO_HOOKFLOW_API_ACCESS = {
        "*": rule(crud_permission="Nobody", resume_permission="Nobody")
    }

    assert [one["id"] for one in listed] == [mine]
    for where in ("flows/", "flow-types/", "questions/", "dead-letters/"):
        assert bob.get(f"{V1}/{where}").status_code == 403


@pytest.mark.parametrize(
    ("others", "version", "seen"),
    [
        ("NotSecret", "Nobody", ["2"]),
        ("Nobody", "NotSecret", ["1"]),
        ("Nobody", "Nobody", []),
        ("NotSecret", "NotSecret", ["2", "1"]),
    ],
)
def test_a_version_may_have_classes_of_its_own(
    world: World,
    bob: APIClient,
    settings: LazySettings,
    others: str,
    version: str,
    seen: list[str],
) -> None:
    run_id = start(bob, "api-nap")
    start(bob, "api-sum")
    second = start(bob, "api-nap")
    WorkflowRun.objects.filter(run_id=second).update(version=2)
    settings.DJANGO_HOOKFLOW_API_ACCESS = {
        "api-nap": rule(crud_permission=others),
        "api-nap@1": rule(crud_permission=version),
        "api-sum": rule(crud_permission="Nobody"),
    }

    listed = bob.get(FLOWS).json()["results"]

    ids = {"1": run_id, "2": second}
    assert [one["id"] for one in listed] == [ids[one] for one in seen]


def test_a_class_may_refuse_single_runs_on_every_route(
    world: World, bob: APIClient, settings: LazySettings
) -> None:
    secret = start(bob, "api-sum", order="secret")
    public = start(bob, "api-sum", order=7)
    last = start(bob, "api-sum", order="secret")
    world.deliver()
    settings.DJANGO_HOOKFLOW_API_ACCESS = {
        "api-sum": rule(
            crud_permission="NotSecret", resume_permission="NotSecret"
        )
    }

    def shown(where: str, rows: str, key: str) -> list[str]:
        return [one[key] for one in bob.get(where).json()[rows]]

    assert shown(FLOWS, "results", "id") == [public]
    assert shown(f"{V1}/workflows/", "runs", "run_id") == [public]
    assert bob.get(f"{FLOWS}most-recent/").json()["id"] == public
    for run_id in (secret, last):
        for name, actions in urls.OF_RUN.items():
            for method in methods_of(actions):
                where = f"{FLOWS}{run_id}/{name}/"
                answer = getattr(bob, method)(where, {}, format="json")
                assert answer.status_code == 403, where
        assert bob.delete(f"{FLOWS}{run_id}/").status_code == 403
        assert bob.get(f"{V1}/workflows/{run_id}/").status_code == 403


def test_a_class_may_refuse_single_dead_letters(
    world: World, bob: APIClient, settings: LazySettings
) -> None:
    start(bob, "api-fail", order="secret")
    world.deliver()
    settings.DJANGO_HOOKFLOW_API_ACCESS = {
        "api-fail": rule(crud_permission="NotSecret")
    }
    letter = DeadLetterEntry.objects.get()

    listed = bob.get(f"{V1}/dead-letters/").json()["results"]
    shown = bob.get(f"{V1}/dead-letters/{letter.pk}/")
    replayed = bob.post(f"{V1}/dead-letters/{letter.pk}/replay/")

    assert listed == []
    assert (shown.status_code, replayed.status_code) == (403, 403)


def test_resuming_has_a_permission_of_its_own(
    world: World, ada: APIClient, bob: APIClient, settings: LazySettings
) -> None:
    run_id = start(bob, "api-ask", to=str(bob.user.pk))
    world.deliver()
    settings.DJANGO_HOOKFLOW_API_ACCESS = {
        "api-ask": rule(resume_permission="OnlyAda")
    }
    question = Question.objects.get().pk
    body = {"answer": {"reason": "x"}}

    tried = [
        bob.post(where, body, format="json").status_code
        for where in (
            f"{FLOWS}{run_id}/resume/",
            f"{FLOWS}{run_id}/questions/",
            f"{V1}/questions/{question}/answer/",
        )
    ]

    assert tried == [403, 403, 404]
    assert bob.get(f"{V1}/questions/").json()["results"] == []
    assert bob.get(f"{FLOWS}{run_id}/").status_code == 200


def test_a_question_of_a_workflow_that_is_closed_can_be_answered(
    world: World, ada: APIClient, bob: APIClient, settings: LazySettings
) -> None:
    run_id = start(ada, "api-ask", to=str(bob.user.pk))
    world.deliver()
    settings.DJANGO_HOOKFLOW_API_ACCESS = {
        "api-ask": rule(crud_permission="OnlyAda")
    }

    (question,) = bob.get(f"{V1}/questions/").json()["results"]
    bob.post(
        f"{V1}/questions/{question['id']}/answer/",
        {"answer": {"reason": "fine"}},
        format="json",
    )
    world.deliver()

    assert world.run_of(run_id).status == "completed"


def test_creating_and_resuming_have_throttles_of_their_own(
    world: World, bob: APIClient, settings: LazySettings
) -> None:
    settings.DJANGO_HOOKFLOW_API_ACCESS = {
        "api-paid": rule(crud_throttle="OnePerTest")
    }
    classes.OnePerTest.count = 0

    run_id = start(bob, "api-paid")
    second = bob.post(FLOWS, {"flow_type": "api-paid"}, format="json")
    others = bob.post(FLOWS, {"flow_type": "api-sum"}, format="json")
    sent = bob.post(f"{FLOWS}{run_id}/events/", {"name": "x"}, format="json")

    assert (second.status_code, second.headers["Retry-After"]) == (429, "7")
    assert others.status_code == 201
    assert sent.status_code == 202


@pytest.mark.parametrize("classes", ["of the site", "of the app"])
def test_the_usual_throttles_count_by_user(
    world: World,
    ada: APIClient,
    bob: APIClient,
    settings: LazySettings,
    classes: str,
) -> None:
    if classes == "of the site":
        settings.THROTTLES = {"creations": "2/hour", "resumes": "3/hour"}
    else:
        settings.DJANGO_HOOKFLOW_API_ACCESS = {}
        settings.DJANGO_HOOKFLOW_API_CREATION_RATE = "2/hour"
        settings.DJANGO_HOOKFLOW_API_RESUME_RATE = "3/hour"

    def create(client: APIClient) -> int:
        body = {"flow_type": "api-paid"}
        return int(client.post(FLOWS, body, format="json").status_code)

    run_id = start(ada, "api-paid")
    created = [create(ada), create(ada), create(bob)]
    sent = [
        ada.post(f"{FLOWS}{run_id}/events/", {"name": "x"}, format="json")
        for _ in range(4)
    ]

    assert created == [201, 429, 201]
    assert [one.status_code for one in sent] == [202, 202, 202, 429]
    assert 0 < int(sent[-1].headers["Retry-After"]) <= 3600
    assert WorkflowRun.objects.filter(workflow_id="api-paid").count() == 3


def test_the_throttles_of_the_site_count_strangers_by_address(
    world: World, settings: LazySettings
) -> None:
    settings.DJANGO_HOOKFLOW_API_REQUIRE_AUTHENTICATION = False
    settings.THROTTLES = {"creations": "1/hour"}

    def create(address: str) -> int:
        client = APIClient(headers={"X-Forwarded-For": address})
        body = {"flow_type": "api-nap"}
        return int(client.post(FLOWS, body, format="json").status_code)

    assert create("10.9.9.1") == 201
    assert create("10.9.9.1") == 429
    assert create("10.9.9.2") == 201
    world.now += timedelta(hours=1)
    assert create("10.9.9.1") == 201


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([], "is [], but must be a dict by workflow id"),
        ({"a": "b"}, "has 'b' for 'a', which must be a dict"),
        ({7: {}}, "has the key 7, which must be a workflow id"),
        ({"*@2": {}}, "has the key '*@2', which must be a workflow id, \"id"),
        (
            {"a": {"crud": "x:Y"}},
            "has 'x:Y' as 'crud' of 'a': expected one of crud_permission",
        ),
        (
            {"a": {"crud_throttle_class": "no_such:Y"}},
            "has 'no_such:Y' as 'crud_throttle_class' of 'a': it cannot be",
        ),
        (
            {"a": {"crud_throttle_class": "json.dumps"}},
            "has 'json.dumps' as 'crud_throttle_class' of 'a': it cannot be",
        ),
        (
            {"a": {"crud_throttle_class": f"{CLASSES}:Nobody"}},
            f"has '{CLASSES}:Nobody' as 'crud_throttle_class' of 'a': it is "
            "not a throttle class",
        ),
    ],
)
def test_settings_that_make_no_sense_are_told(
    settings: LazySettings, given: Any, problem: str
) -> None:
    settings.DJANGO_HOOKFLOW_API_ACCESS = given

    (error,) = check_access()

    assert error.msg.startswith(f"DJANGO_HOOKFLOW_API_ACCESS {problem}")
    assert error.id == "hookflow_api.E001"


def test_a_workflow_id_may_hold_an_at_sign(settings: LazySettings) -> None:
    settings.DJANGO_HOOKFLOW_API_ACCESS = {"a@b": {}, "a@b@2": {}}

    assert check_access() == []
    call_command("check")
