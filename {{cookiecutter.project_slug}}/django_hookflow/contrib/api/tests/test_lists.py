"""Lists are filtered in the database, and read in pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from django_hookflow.contrib.api import base
from django_hookflow.contrib.api import pagination
from django_hookflow.contrib.api import views
from django_hookflow.contrib.api.tests.conftest import V1
from django_hookflow.contrib.api.tests.test_flows import FLOWS
from django_hookflow.contrib.api.tests.test_flows import start
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import EPOCH
from django_hookflow.testing.world import World


def ids(client: APIClient, **parameters: Any) -> list[str]:
    answer = client.get(FLOWS, parameters)
    assert answer.status_code == 200, answer.json()
    return [one["id"] for one in answer.json()["results"]]


def test_runs_are_found_by_status_and_its_other_names(
    world: World, ada: APIClient
) -> None:
    done = start(ada, "api-sum")
    nap = start(ada, "api-nap")
    world.deliver()
    new = start(ada, "api-nap")

    assert ids(ada, status="completed") == [done]
    assert (
        ids(ada, status="waiting") == ids(ada, status="interrupted") == [nap]
    )
    assert ids(ada, status="pending") == ids(ada, status="created") == [new]
    assert ids(ada, status="all") == [new, nap, done]
    assert ids(ada, status="failed") == []


def test_runs_are_found_by_workflow_version_and_owner(
    world: World, ada: APIClient, bob: APIClient, staff: APIClient
) -> None:
    nap, total = start(ada, "api-nap"), start(ada, "api-sum")
    others = start(bob, "api-nap")
    WorkflowRun.objects.filter(run_id=total).update(version=2)
    mine = str(ada.user.pk)

    assert ids(ada, flow_type="api-nap") == [nap]
    assert ids(ada, workflow_id="api-nap", owner=mine) == [nap]
    assert ids(ada, version=2) == [total]
    assert ids(staff, workflow_id="api-nap") == [others, nap]
    assert ids(staff, owner=mine) == [total, nap]
    assert ids(staff, owner="") == []


def test_runs_are_found_by_when_they_began_and_ended(
    world: World, ada: APIClient
) -> None:
    first = start(ada, "api-sum")
    world.deliver()
    world.now += timedelta(hours=1)
    second = start(ada, "api-sum")
    world.deliver()
    between = (EPOCH + timedelta(minutes=30)).isoformat()

    for verb in ("created", "completed"):
        assert ids(ada, **{f"{verb}_after": between}) == [second]
        assert ids(ada, **{f"{verb}_before": between}) == [first]


def test_runs_are_found_by_attributes(world: World, ada: APIClient) -> None:
    found = start(ada, "api-sum", order=7)
    start(ada, "api-sum", order=8)
    start(ada, "api-sum", order="7")
    world.deliver()

    assert ids(ada, attributes='{"order": 7}') == [found]
    assert ids(ada, attributes='{"order": 9}') == []
    assert ids(ada, attributes="{}") != []


@pytest.mark.parametrize(
    ("parameter", "value", "number"),
    [
        ("state__order", "7", [0]),
        ("state__to__city", "Oslo", [0]),
        ("state__to__city", "Malmö", [1]),
        ("state__to__gift", "true", [1]),
        ("state__to__gift", "1", []),
        ("state__all__0", "3", [1]),
        ("state__all__7", "3", []),
        ("state__sum", "7", [1]),
        ("state__to", "Oslo", []),
        ("state__none__at__all", "x", []),
        ("state__half", "x", []),
    ],
)
def test_runs_are_found_by_their_data_and_result(
    world: World, ada: APIClient, parameter: str, value: str, number: list[int]
) -> None:
    runs = [
        start(ada, "api-sum", order=7, to={"city": "Oslo", "gift": False}),
        start(ada, "api-sum", all=[3, 4], to={"city": "Malmö", "gift": True}),
        start(ada, "api-nap", half="\ud800", nul="\0", city="Oslo 😀"),
    ]
    world.deliver()

    assert ids(ada, **{parameter: value}) == [runs[n] for n in number]


def test_characters_outside_of_the_first_plane_are_found(
    world: World, ada: APIClient
) -> None:
    run_id = start(ada, "api-nap", mood="fine 😀", other="\\ud800")

    assert ids(ada, state__mood="fine 😀") == [run_id]


def test_a_list_shows_payloads_when_it_is_asked_to(
    world: World, ada: APIClient
) -> None:
    start(ada, "api-sum", all=[1])
    world.deliver()

    (short,) = ada.get(FLOWS).json()["results"]
    (long,) = ada.get(FLOWS, {"is_detailed": "true"}).json()["results"]

    assert "state" not in short
    assert (long["state"], long["result"]) == ({"all": [1]}, {"sum": 1})


def test_pages_follow_each_other_by_cursor_and_by_offset(
    world: World, ada: APIClient
) -> None:
    runs = [start(ada, "api-nap") for _ in range(5)]
    runs.reverse()
    by_cursor, where = [], f"{FLOWS}?limit=2&status=pending"
    while where:
        page = ada.get(where).json()
        by_cursor += [one["id"] for one in page["results"]]
        where = page["next"]
        if len(by_cursor) == 2:
            start(ada, "api-nap")  # a newer one moves no page

    assert by_cursor == runs
    assert ids(ada, limit=2, offset=2) == runs[1:3]
    old = ada.get(f"{V1}/workflows/", {"limit": 2, "offset": 1}).json()
    assert [one["run_id"] for one in old["runs"]] == runs[:2]
    assert (old["total"], old["limit"], old["offset"]) == (6, 2, 1)
    after = ada.get(
        f"{V1}/workflows/", {"limit": 2, "cursor": old["next_cursor"]}
    ).json()
    assert [one["run_id"] for one in after["runs"]] == runs[2:4]


def test_a_cursor_is_good_for_its_list_only(
    world: World, ada: APIClient, bob: APIClient
) -> None:
    for client in (ada, bob):
        for _ in range(2):
            start(client, "api-nap")
    cursor = ada.get(FLOWS, {"limit": 1}).json()["next_cursor"]

    others = [
        ada.get(FLOWS, {"cursor": cursor, "status": "all"}),
        ada.get(f"{V1}/workflows/", {"cursor": cursor}),
        bob.get(FLOWS, {"cursor": cursor}),
    ]

    for answer in others:
        assert answer.status_code == 400
        assert answer.json()["cursor"][0].startswith("This cursor is of")
    assert ids(ada, cursor=cursor, limit=5) != []


def test_numbers_are_bounded_and_say_so(
    world: World, ada: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (views, pagination):
        monkeypatch.setattr(module, "BOUND", 2)
    for _ in range(2):
        start(ada, "api-nap")

    exact = ada.get(f"{FLOWS}stats/").json()
    start(ada, "api-nap")
    stats = ada.get(f"{FLOWS}stats/").json()
    old = ada.get(f"{V1}/workflows/").json()

    assert (exact["total"], exact["is_exact"]) == (2, True)
    assert (stats["total"], stats["is_exact"]) == (2, False)
    assert (old["total"], old["total_is_exact"]) == (2, False)
    assert len(old["runs"]) == 3


def test_many_steps_are_cut_off(
    world: World, ada: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "STEPS_SHOWN", 1)
    run_id = start(ada, "api-sum")
    world.deliver()

    shown = ada.get(f"{FLOWS}{run_id}/").json()

    assert [one["step_id"] for one in shown["steps"]] == ["one"]
    assert shown["has_more_steps"] is True


def queries(client: APIClient, where: str) -> int:
    """Count those of a page, beside the two of the session."""
    with CaptureQueriesContext(connection) as caught:
        assert client.get(where).status_code == 200
    return len(caught) - 2


def test_a_page_takes_as_many_queries_as_one_run(
    world: World, ada: APIClient, bob: APIClient
) -> None:
    lists = {
        f"{FLOWS}?status=all": 1,
        f"{FLOWS}?is_detailed=true": 1,
        f"{FLOWS}stats/": 1,
        f"{V1}/workflows/": 2,
        f"{V1}/dead-letters/": 1,
    }
    for _ in range(2):
        for kind in ("fail", "nap", "ask"):
            start(ada, f"api-{kind}", to=str(bob.user.pk))
    world.deliver()

    assert {where: queries(ada, where) for where in lists} == lists
    # The names of the groups of the user, and the questions.
    assert queries(bob, f"{V1}/questions/") == 2


def test_a_run_takes_as_many_queries_with_few_steps_as_with_many(
    world: World, ada: APIClient
) -> None:
    done = start(ada, "api-sum")
    nap, asks = start(ada, "api-nap"), start(ada, "api-ask")
    failed = start(ada, "api-fail")
    world.deliver()

    # The run and its steps; its questions and events; its dead letter.
    assert queries(ada, f"{FLOWS}{done}/") == 2
    assert queries(ada, f"{FLOWS}{nap}/") == 4
    assert queries(ada, f"{FLOWS}{asks}/") == 4
    assert queries(ada, f"{FLOWS}{failed}/") == 3
    assert queries(ada, f"{V1}/workflows/{nap}/") == 2


def test_a_list_does_not_load_the_payloads(
    world: World, ada: APIClient
) -> None:
    start(ada, "api-nap")

    with CaptureQueriesContext(connection) as caught:
        ada.get(FLOWS)

    assert '"data"' not in caught.captured_queries[-1]["sql"]
    assert '"result"' not in caught.captured_queries[-1]["sql"]
