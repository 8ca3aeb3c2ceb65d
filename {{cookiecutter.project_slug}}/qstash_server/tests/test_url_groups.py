"""One message for each endpoint."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from qstash import QStash
from qstash.errors import QStashError

from qstash_server.clock import ManualClock
from qstash_server.conf import Config
from qstash_server.conf import Quotas
from qstash_server.tests.helpers import Destination


def test_each_endpoint_gets_its_own_message(
    client: QStash, destination: Destination
) -> None:
    urls = [f"{destination.url}/{n}" for n in range(3)]
    client.url_group.upsert_endpoints(
        "g", [{"url": url, "name": f"n{i}"} for i, url in enumerate(urls)]
    )

    answers = client.message.publish(url_group="g", body="x")

    received = destination.wait_for(3)
    assert isinstance(answers, list)
    assert [answer.url for answer in answers] == urls
    assert {one.headers["upstash-message-id"] for one in received} == {
        answer.message_id for answer in answers
    }
    assert {one.headers["upstash-topic-name"] for one in received} == {"g"}
    message = client.message.get(answers[1].message_id)
    assert (message.url_group, message.endpoint) == ("g", "n1")


def test_duplicate_of_a_group_is_found_for_each_endpoint(
    http: httpx.Client, client: QStash, destination: Destination
) -> None:
    client.url_group.upsert_endpoints(
        "g", [{"url": f"{destination.url}/{n}"} for n in range(2)]
    )
    headers = {"Upstash-Deduplication-Id": "one"}

    first = http.post("/v2/publish/g", headers=headers)
    second = http.post("/v2/publish/g", headers=headers)

    assert first.status_code == second.status_code == 200
    assert second.json() == [
        item | {"deduplicated": True} for item in first.json()
    ]


def test_group_is_made_changed_and_removed(
    client: QStash, clock: ManualClock
) -> None:
    client.url_group.upsert_endpoints(
        "g", [{"url": "http://localhost/1"}, {"url": "http://localhost/2"}]
    )
    clock.advance(3)
    client.url_group.upsert_endpoints(
        "g",
        [
            {"url": "http://localhost/1", "name": "one"},
            {"url": "http://localhost/3", "name": "three"},
        ],
    )

    group = client.url_group.get("g")
    assert [(one.url, one.name) for one in group.endpoints] == [
        ("http://localhost/1", "one"),
        ("http://localhost/2", None),
        ("http://localhost/3", "three"),
    ]
    assert group.updated_at == group.created_at + 3000
    assert [one.name for one in client.url_group.list()] == ["g"]
    client.url_group.remove_endpoints(
        "g", [{"url": "http://localhost/2"}, {"name": "three"}]
    )
    assert [one.name for one in client.url_group.get("g").endpoints] == ["one"]
    client.url_group.remove_endpoints("g", [{"name": "one"}])
    with pytest.raises(QStashError, match=r"404.*url group g not found"):
        client.url_group.get("g")


def test_deleting_a_group_that_is_absent_is_no_error(client: QStash) -> None:
    client.url_group.upsert_endpoints("g", [{"url": "http://localhost/"}])

    client.url_group.delete("g")
    client.url_group.delete("g")

    assert client.url_group.list() == []


def test_changed_group_leaves_its_messages_alone(
    client: QStash, destination: Destination, clock: ManualClock
) -> None:
    client.url_group.upsert_endpoints("g", [{"url": destination.url}])
    client.message.publish(url_group="g", delay="1m")
    client.url_group.delete("g")

    clock.advance(61)

    destination.wait_for(1)


def test_default_headers_of_a_group_are_those_a_publisher_does_not_send(
    http: httpx.Client, client: QStash, destination: Destination
) -> None:
    client.url_group.upsert_endpoints("g", [{"url": destination.url}])
    http.patch(
        "/v2/topics/g",
        json={
            "headers": {
                "Upstash-Method": "PUT",
                "Upstash-Forward-X-Many": ["a", "b"],
                "Upstash-Forward-X-Mine": "default",
            }
        },
    ).raise_for_status()

    client.message.publish(
        url_group="g", method="PATCH", headers={"X-Mine": "mine"}
    )

    (received,) = destination.wait_for(1)
    assert received.method == "PATCH"
    assert received.headers["x-mine"] == "mine"
    assert received.headers["x-many"] in ("a", "b")


def test_parameters_of_a_publisher_win_over_default_headers_too(
    http: httpx.Client, client: QStash
) -> None:
    client.url_group.upsert_endpoints("g", [{"url": "http://localhost:9/"}])
    defaults = {"headers": {"Upstash-Retries": "3", "Upstash-Label": "l"}}
    http.patch("/v2/topics/g", json=defaults).raise_for_status()

    answer = http.post("/v2/publish/g?upstash-retries=0&upstash-delay=1h")

    message = client.message.get(answer.json()[0]["messageId"])
    assert (message.max_retries, message.label) == (0, "l")


def test_endpoint_is_stored_and_removed_as_it_is_called(
    client: QStash, destination: Destination
) -> None:
    urls = [{"url": f"{destination.url}/{p}"} for p in ("grün", "a b", "x#y")]
    client.url_group.upsert_endpoints("g", urls)  # type: ignore[arg-type]

    client.message.publish(url_group="g")

    assert {one.target for one in destination.wait_for(3)} == {
        "/gr%C3%BCn",
        "/a%20b",
        "/x",
    }
    client.url_group.remove_endpoints("g", urls[:2])  # type: ignore[arg-type]
    assert [one.url for one in client.url_group.get("g").endpoints] == [
        f"{destination.url}/x"
    ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "g/endpoints", []),
        ("POST", "g/endpoints", {}),
        ("POST", "g/endpoints", {"endpoints": []}),
        ("POST", "g/endpoints", {"endpoints": ["x"]}),
        ("POST", "g/endpoints", {"endpoints": [{}]}),
        ("POST", "g/endpoints", {"endpoints": [{"url": 1}]}),
        ("POST", "g/endpoints", {"endpoints": [{"name": "a"}]}),
        ("POST", "g/endpoints", {"endpoints": [{"url": "http://10.0.0.1"}]}),
        (
            "POST",
            "g/endpoints",
            {"endpoints": [{"url": "http://localhost", "name": "a b"}]},
        ),
        (
            "POST",
            "a%20b/endpoints",
            {"endpoints": [{"url": "http://localhost"}]},
        ),
        ("PATCH", "known", {"headers": []}),
        ("PATCH", "known", {"headers": {"A": 1}}),
        ("PATCH", "known", {"headers": {"A B": "x"}}),
        ("PATCH", "known", {"headers": {"Upstash-Delay": "soon"}}),
        (
            "PATCH",
            "known",
            {"headers": {"Upstash-Callback": "http://10.0.0.1/"}},
        ),
    ],
)
def test_malformed_group_is_400(
    http: httpx.Client, client: QStash, method: str, path: str, body: object
) -> None:
    client.url_group.upsert_endpoints("known", [{"url": "http://localhost/"}])

    answer = http.request(method, f"/v2/topics/{path}", json=body)

    assert answer.status_code == 400


def test_unknown_group_has_no_endpoints_to_remove(client: QStash) -> None:
    with pytest.raises(QStashError, match="404"):
        client.url_group.remove_endpoints("nobody", [{"name": "x"}])


class TestQuotas:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        quotas = Quotas(max_url_groups=1, max_endpoints=2)
        return replace(config, quotas=quotas)

    def test_too_many_groups_or_endpoints_are_412(
        self, client: QStash
    ) -> None:
        urls = [{"url": f"http://localhost/{n}"} for n in range(3)]
        client.url_group.upsert_endpoints("g", urls[:2])  # type: ignore[arg-type]

        with pytest.raises(QStashError, match=r"412.*maxEndpointsPerTopic"):
            client.url_group.upsert_endpoints("g", urls)  # type: ignore[arg-type]
        with pytest.raises(QStashError, match=r"412.*maxTopics"):
            client.url_group.upsert_endpoints("h", urls[:1])  # type: ignore[arg-type]
        assert len(client.url_group.get("g").endpoints) == 2
