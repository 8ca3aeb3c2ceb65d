"""Runs are listed, started, looked at and steered over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from django_hookflow.contrib.api.tests import flows
from django_hookflow.contrib.api.tests.conftest import V1
from django_hookflow.models import AuditEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World

FLOWS = f"{V1}/flows/"


def start(client: APIClient, flow_type: str, **state: Any) -> str:
    # As json escapes it: the client of the tests encodes no half characters.
    body = json.dumps({"flow_type": flow_type, "state": state})
    answer = client.post(FLOWS, body, content_type="application/json")
    assert answer.status_code == 201, answer.json()
    return str(answer.json()["id"])


def audit() -> list[tuple[str, ...]]:
    kept = AuditEntry.objects.order_by("pk")
    return list(kept.values_list("action", "by", "before", "reason"))


def test_a_run_is_started_and_looked_at(world: World, ada: APIClient) -> None:
    begun = ada.post(
        FLOWS,
        {"flow_type": "api-sum", "state": {"all": [1, 2], "order": 7}},
        format="json",
    )
    world.deliver()
    run_id = begun.json()["id"]

    assert begun.status_code == 201
    assert begun.headers["Location"] == f"http://testserver{FLOWS}{run_id}/"
    assert begun.json()["status"] == "pending"
    assert begun.json()["state"] == {"all": [1, 2], "order": 7}
    shown = ada.get(f"{FLOWS}{run_id}/").json()
    assert shown["id"] == run_id
    assert shown["flow_type"] == "api-sum"
    assert shown["status"] == "completed"
    assert shown["owner"] == str(ada.user.pk)
    assert shown["attributes"] == {"order": 7}
    assert shown["result"] == {"sum": 3}
    assert shown["payloads_hidden"] is False
    assert shown["actions"] == ["fork"]
    assert [
        (step["step_id"], step["status"], step["result"])
        for step in shown["steps"]
    ] == [("one", "completed", 1), ("two", "completed", 3)]
    assert shown["has_more_steps"] is False


@pytest.mark.parametrize("name", ["state", "input", "data"])
def test_the_data_has_three_names(
    world: World, ada: APIClient, name: str
) -> None:
    answer = ada.post(
        FLOWS, {"flow_type": "api-parcel", name: {"order": 7}}, format="json"
    )
    refused = ada.post(
        FLOWS, {"flow_type": "api-parcel", name: {"order": "x"}}, format="json"
    )

    assert answer.json()["state"] == {"order": 7, "fragile": False}
    assert refused.status_code == 400
    assert list(refused.json()) == [name]
    assert list(refused.json()[name]) == ["order"]


def test_the_same_idempotency_key_is_the_same_run(
    world: World, ada: APIClient, bob: APIClient
) -> None:
    body = {"flow_type": "api-sum", "state": {}, "idempotency_key": "order-7"}

    first, again, others = (
        client.post(FLOWS, body, format="json") for client in (ada, ada, bob)
    )
    conflict = ada.post(FLOWS, body | {"state": {"a": 1}}, format="json")
    by_header = ada.post(
        FLOWS,
        {"flow_type": "api-sum"},
        format="json",
        headers={"Idempotency-Key": "order-7"},
    )

    assert first.json()["id"] == again.json()["id"] == by_header.json()["id"]
    assert others.json()["id"] != first.json()["id"]
    assert conflict.status_code == 409
    assert "already exists with other data" in conflict.json()["detail"]


def test_a_run_that_naps_is_paused_resumed_and_cancelled(
    world: World, ada: APIClient
) -> None:
    run_id = start(ada, "api-nap")
    world.deliver()
    reason = {"reason": "wait for stock"}

    paused = ada.post(f"{FLOWS}{run_id}/pause/", reason, format="json")
    resumed = ada.post(f"{FLOWS}{run_id}/resume/", {}, format="json")
    not_resumed = ada.post(f"{FLOWS}{run_id}/resume/", {}, format="json")
    cancelled = ada.post(f"{FLOWS}{run_id}/cancel/")
    refused = ada.post(f"{FLOWS}{run_id}/cancel/")

    assert paused.json()["status"] == "paused"
    assert paused.json()["actions"] == [
        "cancel",
        "resume",
        "send_event",
        "fork",
    ]
    assert resumed.json()["status"] == "waiting"
    assert not_resumed.status_code == 400
    assert not_resumed.json() == {
        "detail": f"Run {run_id!r} is waiting, and this body does not resume "
        "it. It takes: nothing."
    }
    assert cancelled.json()["status"] == "cancelled"
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith(
        f"Run {run_id!r} is cancelled, so there is nothing to cancel."
    )
    by = str(ada.user.pk)
    assert audit() == [
        ("pause", by, "waiting", "wait for stock"),
        ("resume", by, "paused", ""),
        ("cancel", by, "waiting", ""),
    ]
    trail = ada.get(f"{FLOWS}{run_id}/audit/").json()["results"]
    assert [one["action"] for one in trail] == ["cancel", "resume", "pause"]


def test_a_delete_hides_the_run_and_may_be_repeated(
    world: World, ada: APIClient
) -> None:
    run_id = start(ada, "api-nap")
    world.deliver()

    answers = [ada.delete(f"{FLOWS}{run_id}/") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert ada.get(f"{FLOWS}{run_id}/").status_code == 404
    assert ada.get(FLOWS).json()["results"] == []
    assert ada.get(f"{FLOWS}stats/").json()["total"] == 0
    assert ada.get(f"{FLOWS}most-recent/").status_code == 404
    assert world.run_of(run_id).status == "cancelled"


def test_a_deleted_run_does_not_come_back_by_its_key(
    world: World, ada: APIClient
) -> None:
    body = {"flow_type": "api-nap", "idempotency_key": "a"}
    run_id = ada.post(FLOWS, body, format="json").json()["id"]
    ada.delete(f"{FLOWS}{run_id}/")

    again = ada.post(FLOWS, body, format="json")

    assert again.status_code == 409
    assert "was deleted" in again.json()["detail"]


def test_an_event_resumes_a_run_that_waits_for_it(
    world: World, ada: APIClient
) -> None:
    run_id = start(ada, "api-paid")
    world.deliver()
    where = f"{FLOWS}{run_id}/resume/"

    shown = ada.get(f"{FLOWS}{run_id}/").json()
    refused = ada.post(where, {}, format="json")
    sent = ada.post(
        where, {"event": "paid", "data": {"cents": 5}}, format="json"
    )
    world.deliver()
    late = ada.post(where, {"event": "paid"}, format="json")

    assert shown["events"] == ["paid"]
    assert refused.json()["detail"].endswith(
        'It takes: {"event": "paid", "data": …}.'
    )
    assert sent.status_code == 200
    assert world.run_of(run_id).result == {"cents": 5}
    assert audit() == [("event", str(ada.user.pk), "waiting", "paid")]
    assert late.status_code == 400
    assert late.json()["detail"].endswith("so it takes no more events.")


def test_an_event_with_an_id_is_sent_once_to_each_run(
    world: World, ada: APIClient, bob: APIClient
) -> None:
    mine, others = start(ada, "api-paid"), start(bob, "api-paid")
    body = {"name": "paid", "event_id": "evt_1"}

    answers = [
        client.post(f"{FLOWS}{run_id}/events/", body, format="json")
        for client, run_id in ((ada, mine), (ada, mine), (bob, others))
    ]

    assert [one.status_code for one in answers] == [202, 202, 202]
    assert [one.json()["is_new"] for one in answers] == [True, False, True]


def test_an_event_cannot_stand_in_for_an_answer(
    world: World, ada: APIClient
) -> None:
    run_id = start(ada, "api-ask")
    world.deliver()

    answer = ada.post(
        f"{FLOWS}{run_id}/events/",
        {"name": "hookflow.answer:approve"},
        format="json",
    )

    assert answer.status_code == 400
    assert list(answer.json()) == ["name"]


def test_a_question_is_answered_by_resume(
    world: World, ada: APIClient
) -> None:
    run_id = start(ada, "api-ask")
    world.deliver()
    where = f"{FLOWS}{run_id}/resume/"
    question = ada.get(f"{FLOWS}{run_id}/").json()["questions"][0]

    refused = ada.post(where, {}, format="json")
    invalid = ada.post(where, {"answer": {"reason": "x" * 30}}, format="json")
    taken = ada.post(
        where,
        {
            "answer": {"approved": True, "reason": "fine"},
            "question": question["id"],
        },
        format="json",
    )
    world.deliver()

    assert question["run"] == run_id
    assert (
        f"\"question\": {question['id']}}} for 'Approve it?'"
        in (refused.json()["detail"])
    )
    assert list(invalid.json()["answer"]) == ["reason"]
    assert taken.status_code == 200
    assert world.run_of(run_id).result == {"approved": True, "reason": "fine"}


@pytest.mark.parametrize(
    ("flow_type", "result"),
    [
        ("api-ask", {"approved": False, "reason": "no"}),
        ("api-paid", {"reason": "no"}),
    ],
)
def test_a_state_alone_goes_where_it_fits(
    world: World, ada: APIClient, flow_type: str, result: Any
) -> None:
    run_id = start(ada, flow_type)
    world.deliver()

    ada.post(
        f"{FLOWS}{run_id}/resume/", {"state": {"reason": "no"}}, format="json"
    )
    world.deliver()

    assert world.run_of(run_id).result == result


@pytest.mark.parametrize("body", [{"answer": 1}, {"state": 1}, {}])
def test_a_run_that_sleeps_is_not_resumed(
    world: World, ada: APIClient, body: dict[str, Any]
) -> None:
    run_id = start(ada, "api-nap")
    world.deliver()

    answer = ada.post(f"{FLOWS}{run_id}/resume/", body, format="json")

    assert answer.status_code == 400
    assert answer.json()["detail"].endswith("It takes: nothing.")
    ada.post(f"{FLOWS}{run_id}/pause/")
    paused = ada.post(
        f"{FLOWS}{run_id}/resume/", body or {"answer": 1}, format="json"
    )
    assert paused.json()["detail"].endswith("It takes: {} to end its pause.")


def test_a_question_is_answered_in_the_inbox(
    world: World, ada: APIClient, bob: APIClient
) -> None:
    run_id = start(ada, "api-ask", to=str(bob.user.pk))
    world.deliver()

    inbox = bob.get(f"{V1}/questions/").json()["results"]
    where = f"{V1}/questions/{inbox[0]['id']}/"
    shown = bob.get(where).json()
    not_asked = ada.post(
        f"{FLOWS}{run_id}/questions/", {"answer": {}}, format="json"
    )
    bad = bob.post(f"{where}answer/", {"answer": 7}, format="json")
    taken = bob.post(
        f"{where}answer/", {"answer": {"reason": "ok"}}, format="json"
    )
    late = bob.post(
        f"{where}answer/", {"answer": {"reason": "ok"}}, format="json"
    )
    world.deliver()

    assert inbox[0]["title"] == "Approve it?"
    assert inbox[0]["run"] is None
    assert shown == inbox[0]
    assert bob.get(f"{FLOWS}{run_id}/").status_code == 404
    assert not_asked.status_code == 403
    assert bad.status_code == 400
    assert taken.json()["answered_by"] == str(bob.user.pk)
    assert late.status_code == 404
    assert ada.get(f"{V1}/questions/").json()["results"] == []
    assert world.run_of(run_id).result == {"approved": False, "reason": "ok"}


def test_a_failed_run_is_retried_and_explained(
    world: World, ada: APIClient
) -> None:
    run_id = start(ada, "api-fail")
    world.deliver()

    why = ada.get(f"{FLOWS}{run_id}/why/").json()
    shown = ada.get(f"{FLOWS}{run_id}/").json()
    retried = ada.post(f"{FLOWS}{run_id}/retry/", {}, format="json")
    again = ada.post(f"{FLOWS}{run_id}/retry/", {}, format="json")

    assert why["why"].startswith("It has failed: ")
    assert why["command"] == ""
    assert shown["actions"] == ["retry", "fork"]
    assert retried.status_code == 201
    assert retried.json()["id"] != run_id
    assert again.status_code == 409
    assert audit() == [("retry", str(ada.user.pk), "failed", "")]


def test_a_run_is_forked_with_other_data(world: World, ada: APIClient) -> None:
    run_id = start(ada, "api-sum", all=[1])
    world.deliver()
    where = f"{FLOWS}{run_id}/fork/"

    forked = ada.post(
        where, {"step_id": "two", "state": {"all": [5, 6]}}, format="json"
    )
    unknown = ada.post(where, {"step_id": "three"}, format="json")
    shapeless = ada.post(
        where, {"step_id": "two", "state": [1]}, format="json"
    )
    world.deliver()

    assert forked.status_code == 201
    assert world.run_of(forked.json()["id"]).result == {"sum": 11}
    assert unknown.status_code == 400
    assert list(unknown.json()) == ["step_id"]
    assert shapeless.status_code == 400
    assert list(shapeless.json()) == ["state"]


def test_a_dead_letter_is_replayed(world: World, ada: APIClient) -> None:
    run_id = start(ada, "api-fail")
    world.deliver()
    letters = f"{V1}/dead-letters/"

    listed = ada.get(letters, {"is_replayed": "false"}).json()["results"]
    where = f"{letters}{listed[0]['id']}/"
    shown = ada.get(where).json()
    replayed = ada.post(f"{where}replay/", {}, format="json")
    again = ada.post(f"{where}replay/", {}, format="json")
    left = ada.get(letters, {"is_replayed": "false"}).json()["results"]

    assert listed[0]["run"] == run_id
    assert shown["payload"]["completed_steps"] == {"first": "done"}
    assert replayed.status_code == 201
    assert again.status_code == 409
    assert left == []
    assert WorkflowRun.objects.filter(
        run_id=replayed.json()["run_id"]
    ).exists()


def test_steps_come_in_pages(world: World, ada: APIClient) -> None:
    run_id = start(ada, "api-sum")
    world.deliver()
    where = f"{FLOWS}{run_id}/steps/"

    first = ada.get(where, {"limit": 1}).json()
    second = ada.get(where, {"limit": 1, "after": first["next_after"]}).json()

    assert [one["step_id"] for one in first["results"]] == ["one"]
    assert [one["step_id"] for one in second["results"]] == ["two"]
    assert second["next_after"] is None


def test_stats_count_by_status_and_type(world: World, ada: APIClient) -> None:
    start(ada, "api-sum")
    start(ada, "api-nap")
    world.deliver()
    start(ada, "api-nap")

    stats = ada.get(f"{FLOWS}stats/").json()
    naps = ada.get(f"{FLOWS}stats/", {"flow_type": "api-nap"}).json()

    assert stats["total"] == 3
    counted = {name: n for name, n in stats["by_status"].items() if n}
    assert counted == {"completed": 1, "waiting": 1, "pending": 1}
    assert stats["by_type"] == {"api-nap": 2, "api-sum": 1}
    assert (stats["bound"], stats["is_exact"]) == (10_000, True)
    assert naps["by_type"] == {"api-nap": 2}


def test_the_most_recent_run_is_the_last_started(
    world: World, ada: APIClient
) -> None:
    none = ada.get(f"{FLOWS}most-recent/")
    start(ada, "api-sum")
    last = start(ada, "api-nap")

    assert none.status_code == 404
    assert ada.get(f"{FLOWS}most-recent/").json()["id"] == last


def test_the_types_say_what_their_data_is(ada: APIClient) -> None:
    types = {
        one["flow_type"]: one for one in ada.get(f"{V1}/flow-types/").json()
    }

    parcel = types["api-parcel"]
    assert (parcel["version"], parcel["is_latest"]) == (1, True)
    assert set(parcel["input_schema"]["properties"]) == {"order", "fragile"}
    assert types["api-sum"]["input_schema"] is None


def test_the_runs_that_others_have_started_are_found_by_parent(
    world: World, ada: APIClient
) -> None:
    run_id = start(ada, "api-parent")
    world.deliver()

    top = ada.get(FLOWS).json()["results"]
    below = ada.get(FLOWS, {"parent": run_id}).json()["results"]

    assert [one["id"] for one in top] == [run_id]
    assert [one["flow_type"] for one in below] == ["api-nap"]
    child = ada.get(f"{FLOWS}{below[0]['id']}/").json()
    assert child["parent"] == run_id
    assert "fork" not in child["actions"]


def test_the_form_of_graflow_is_the_same_view(
    world: World, ada: APIClient
) -> None:
    begun = ada.post(
        "/api/graflow/flows/", {"flow_type": "api-nap"}, format="json"
    )
    run_id = begun.json()["id"]

    assert begun.headers["Location"].endswith(f"/api/graflow/flows/{run_id}/")
    shown = ada.get(f"/api/graflow/flows/{run_id}/").json()
    assert shown == ada.get(f"{FLOWS}{run_id}/").json()
    assert ada.get("/api/graflow/flow-types/").status_code == 200
    cancelled = ada.post(f"/api/graflow/flows/{run_id}/cancel/")
    assert cancelled.json()["status"] == "cancelled"


@pytest.mark.promise("start-http")
def test_the_first_example_api_keeps_its_keys(
    world: World, ada: APIClient
) -> None:
    begun = ada.post(
        "/_api/workflows/api-sum/start",
        {"input": {"all": [4]}},
        format="json",
    )
    run_id = begun.json()["run_id"]
    world.deliver()

    listed = ada.get(f"{V1}/workflows/").json()
    shown = ada.get(f"{V1}/workflows/{run_id}/").json()
    missing = ada.get(f"{V1}/workflows/none/")
    unknown = ada.post("/_api/workflows/none/start", {}, format="json")

    assert begun.status_code == 201
    assert list(begun.json()) == ["run_id"]
    assert (listed["total"], listed["total_is_exact"]) == (1, True)
    assert set(listed["runs"][0]) == {
        "run_id",
        "workflow_id",
        "status",
        "created_at",
        "completed_at",
    }
    assert set(shown) == {
        "run_id",
        "workflow_id",
        "status",
        "data",
        "result",
        "error_message",
        "created_at",
        "completed_at",
        "steps",
    }
    assert shown["result"] == {"sum": 4}
    assert shown["error_message"] is None
    assert set(shown["steps"][0]) == {"step_id", "result", "executed_at"}
    assert missing.status_code == 404
    assert missing.json() == {"error": "Workflow run not found"}
    assert unknown.status_code == 404
    assert "No workflow is registered as 'none'." in unknown.json()["detail"]
    types = ada.get(f"{V1}/workflows/types/").json()
    assert "api-sum" in types["workflows"]
    assert types["count"] == len(types["workflows"])


def test_a_run_id_may_hold_slashes(world: World, ada: APIClient) -> None:
    flows.register()
    from django_hookflow.workflows.registry import get_workflow

    get_workflow("api-nap").trigger(run_id="eu/7", owner=ada.user)

    assert ada.get(f"{FLOWS}eu/7/").json()["id"] == "eu/7"
    cancelled = ada.post(f"{FLOWS}eu%2F7/cancel/")
    assert cancelled.json()["status"] == "cancelled"
