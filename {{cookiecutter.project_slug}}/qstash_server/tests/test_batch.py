"""Many messages in one request."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from qstash import QStash

from qstash_server.conf import Config
from qstash_server.conf import Quotas
from qstash_server.tests.helpers import Destination


def test_items_are_answered_in_order_whatever_they_are(
    client: QStash, destination: Destination
) -> None:
    client.url_group.upsert_endpoints(
        "g",
        [{"url": f"{destination.url}/1"}, {"url": f"{destination.url}/2"}],
    )

    answers = client.message.batch(
        [
            {"url": f"{destination.url}/plain", "body": "grün"},
            {"url_group": "g"},
            {"url": f"{destination.url}/queued", "queue": "q"},
        ]
    )

    destination.wait_for(4)
    by_id = {
        one.headers["upstash-message-id"]: one.target
        for one in destination.received
    }
    plain, group, queued = answers
    assert isinstance(group, list)
    assert by_id[plain.message_id] == "/plain"  # type: ignore[union-attr]
    assert [by_id[one.message_id] for one in group] == ["/1", "/2"]
    assert by_id[queued.message_id] == "/queued"  # type: ignore[union-attr]
    assert client.queue.get("q").parallelism == 1


def test_batch_of_one_is_an_array(
    http: httpx.Client, destination: Destination
) -> None:
    answer = http.post("/v2/batch", json=[{"destination": destination.url}])

    assert answer.status_code == 200
    assert list(answer.json()[0]) == ["messageId"]


def test_settings_of_an_item_are_its_headers(
    http: httpx.Client, destination: Destination
) -> None:
    http.post(
        "/v2/batch",
        json=[
            {
                "destination": f"{destination.url}/grün und gut#top",
                "headers": {
                    "Upstash-Method": "PUT",
                    "Content-Type": "text/plain",
                    "Upstash-Forward-X-Name": "grün",
                },
                "body": "text",
                "queue": None,
            }
        ],
    )

    (received,) = destination.wait_for(1)
    assert (received.method, received.body) == ("PUT", b"text")
    assert received.target == "/gr%C3%BCn%20und%20gut"
    assert received.headers["content-type"] == "text/plain"
    name = received.headers["x-name"].encode("latin-1").decode()
    assert name == "grün"


def test_bad_item_spoils_only_itself(
    http: httpx.Client, destination: Destination
) -> None:
    answer = http.post(
        "/v2/batch",
        json=[
            {"destination": destination.url},
            {"destination": "ftp://x"},
            {
                "destination": destination.url,
                "headers": {"Upstash-Delay": "x"},
            },
            "not an object",
            {},
            {"destination": 7},
            {"destination": destination.url, "headers": []},
            {"destination": destination.url, "headers": {"A": 1}},
            {"destination": destination.url, "queue": "a b"},
            {"destination": destination.url, "body": {}},
            {"destination": destination.url, "body": "last"},
        ],
    )

    first, *errors, last = answer.json()
    assert answer.status_code == 200
    assert list(first) == list(last) == ["messageId"]
    assert [error["error"].partition(":")[0] for error in errors] == [
        "invalid destination url",
        "upstash-delay",
        "an item is not a JSON object",
        "destination",
        "destination",
        "headers",
        "A",
        "queue",
        "body",
    ]
    destination.wait_for(2)


def test_half_a_surrogate_pair_is_refused(
    http: httpx.Client, destination: Destination
) -> None:
    answer = http.post(
        "/v2/batch",
        content=(
            b'[{"destination": "http://localhost/", "body": "\\ud800"},'
            b' {"destination": "http://localhost/\\ud800"},'
            b' {"destination": "http://localhost/",'
            b' "headers": {"Upstash-Label": "\\ud800"}}]'
        ),
    )

    assert [list(item) for item in answer.json()] == [["error"]] * 3


def test_duplicates_within_a_batch_are_found_and_the_answer_is_200(
    http: httpx.Client, destination: Destination
) -> None:
    item = {
        "destination": destination.url,
        "headers": {"Upstash-Deduplication-Id": "one"},
    }

    answer = http.post("/v2/batch", json=[item, item])

    first, second = answer.json()
    assert answer.status_code == 200
    assert second == first | {"deduplicated": True}


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"\xff"])
def test_what_is_not_an_array_is_400(http: httpx.Client, body: bytes) -> None:
    assert http.post("/v2/batch", content=body).status_code == 400


class TestQuotas:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        quotas = Quotas(max_message_size=10, max_batch_size=400)
        return replace(config, quotas=quotas)

    def test_each_item_has_its_own_quota(
        self, http: httpx.Client, destination: Destination
    ) -> None:
        answer = http.post(
            "/v2/batch",
            json=[
                {"destination": destination.url, "body": "x" * 11},
                {"destination": destination.url, "body": "x" * 10},
            ],
        )

        first, second = answer.json()
        assert first == {
            "error": "quota maxMessageSize exceeded, current limit: 10"
        }
        assert list(second) == ["messageId"]

    def test_whole_batch_has_one_too(self, http: httpx.Client) -> None:
        answer = http.post("/v2/batch", content=b" " * 401)

        assert answer.status_code == 412


@pytest.mark.parametrize("name", ["a\\u0000b", "a\\ud800b", "a b"])
def test_header_name_that_is_none_spoils_only_its_item(
    http: httpx.Client, name: str
) -> None:
    body = """[
        {"destination": "http://localhost:9/"},
        {"destination": "http://localhost:9/", "headers":
            {"Upstash-Header-Forward": "true", "NAME": "x"}}
    ]"""

    answer = http.post("/v2/batch", content=body.replace("NAME", name))

    good, bad = answer.json()
    assert list(good) == ["messageId"]
    assert bad["error"].endswith("is not a valid header name")
