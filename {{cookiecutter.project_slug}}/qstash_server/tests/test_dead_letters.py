"""The dead letter queue through the official client."""

from __future__ import annotations

import httpx
import pytest
from qstash import QStash
from qstash.errors import QStashError

from qstash_server.clock import ManualClock
from qstash_server.models import Message
from qstash_server.tests.helpers import Answer
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until


def give_up(
    client: QStash,
    destination: Destination,
    body: str = "x",
    answer: bytes = b"broken",
    **options: str,
) -> str:
    """Publish a message that fails; the id of its dead letter."""
    destination.answers += [Answer(500, (("X-Why", "no"),), answer)]
    published = client.message.publish(
        url=destination.url, body=body, retries=0, **options
    )

    found = until(
        lambda: (
            client.dlq.list(
                filter={"message_id": published.message_id}
            ).messages
        )
    )
    return found[0].dlq_id


def test_dead_letter_shows_the_message_and_the_last_answer(
    client: QStash, destination: Destination
) -> None:
    dlq_id = give_up(client, destination, "hello", label="orders")

    letter = client.dlq.get(dlq_id)

    assert letter.url == destination.url
    assert letter.body == "hello"
    assert letter.response_status == 500
    assert letter.response_body == "broken"
    assert letter.response_headers is not None
    assert letter.response_headers["X-Why"] == ["no"]
    assert letter.label == "orders"


def test_header_that_is_not_utf8_is_shown_as_latin1(
    client: QStash, destination: Destination
) -> None:
    destination.answers += [Answer(500, (("X-Name", "grün"),))]
    client.message.publish(url=destination.url, retries=0)

    (letter,) = until(lambda: client.dlq.list().messages)

    assert letter.response_headers is not None
    assert letter.response_headers["X-Name"] == ["grün"]


def test_deleted_dead_letter_is_gone(
    client: QStash, destination: Destination
) -> None:
    dlq_id = give_up(client, destination)

    client.dlq.delete(dlq_id)

    with pytest.raises(QStashError, match=f"404.*{dlq_id} not found"):
        client.dlq.delete(dlq_id)
    with pytest.raises(QStashError, match=f"404.*{dlq_id} not found"):
        client.dlq.get(dlq_id)


def test_retry_is_a_new_message_with_the_old_content(
    client: QStash, http: httpx.Client, destination: Destination
) -> None:
    dlq_id = give_up(client, destination, "again")

    answer = http.post(f"/v2/dlq/retry/{dlq_id}")

    first, second = destination.wait_for(2)
    assert answer.status_code == 201
    new_id = answer.json()["messageId"]
    assert second.body == b"again"
    assert second.headers["upstash-message-id"] == new_id
    assert first.headers["upstash-message-id"] != new_id
    assert second.headers["upstash-retried"] == "0"
    assert client.dlq.list().messages == []
    assert http.post(f"/v2/dlq/retry/{dlq_id}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/v2/dlq/retry/{}", "/v2/dlq/retry?dlqIds={}"]
)
def test_headers_of_a_retry_configure_the_new_message(
    client: QStash,
    http: httpx.Client,
    clock: ManualClock,
    destination: Destination,
    path: str,
) -> None:
    dlq_id = give_up(
        client, destination, "again", method="PUT", label="old", timeout="9s"
    )

    http.post(
        path.format(dlq_id),
        headers={
            "Content-Type": "text/plain",
            "Upstash-Method": "POST",
            "Upstash-Retries": "2",
            "Upstash-Label": "new",
            "Upstash-Delay": "1h",
            "Upstash-Forward-X-Late": "not part of the message",
        },
    ).raise_for_status()

    (row,) = Message.objects.filter(state="waiting")
    message = client.message.get(row.message_id)
    assert (message.method, message.max_retries) == ("POST", 2)
    assert (message.label, message.body) == ("new", "again")
    assert message.not_before == clock.now() + 3_600_000
    assert not message.headers
    assert row.options["timeout"] == 9_000  # as it was


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upstash-Retries": "-1"}, 400),
        ({"Upstash-Callback": "http://elsewhere.example.com/"}, 400),
        ({"Upstash-Delay": "9999d"}, 412),
    ],
)
def test_retry_with_a_refused_header_leaves_the_letter(
    client: QStash,
    http: httpx.Client,
    destination: Destination,
    headers: dict[str, str],
    status: int,
) -> None:
    dlq_id = give_up(client, destination)

    answer = http.post(f"/v2/dlq/retry/{dlq_id}", headers=headers)

    assert answer.status_code == status
    assert client.dlq.get(dlq_id).dlq_id == dlq_id


def test_many_are_retried_or_deleted_by_id(
    client: QStash, http: httpx.Client, destination: Destination
) -> None:
    one, two, three = (give_up(client, destination) for _ in range(3))

    retried = http.post(f"/v2/dlq/retry?dlqIds={one}")
    deleted = client.dlq.delete_many([two, "unknown"])

    assert retried.status_code == 201
    assert retried.json()["cursor"] == ""
    assert len(retried.json()["responses"]) == 1
    assert deleted == 1
    (left,) = client.dlq.list().messages
    assert left.dlq_id == three


def test_retry_of_what_does_not_exist_is_404_by_id_and_empty_by_filter(
    http: httpx.Client,
) -> None:
    by_id = http.post("/v2/dlq/retry?dlqIds=unknown")
    by_filter = http.post("/v2/dlq/retry?label=unknown")

    assert by_id.status_code == 404
    assert (by_filter.status_code, by_filter.json()) == (
        201,
        {"cursor": "", "responses": []},
    )


def test_pages_follow_the_cursor_until_it_is_absent(
    client: QStash, http: httpx.Client, destination: Destination
) -> None:
    ids = [give_up(client, destination) for _ in range(3)]

    first = client.dlq.list(count=2)
    second = client.dlq.list(count=2, cursor=first.cursor)
    backwards = http.get("/v2/dlq?order=latestFirst&count=2").json()
    rest = http.get(
        f"/v2/dlq?order=latestFirst&cursor={backwards['cursor']}"
    ).json()

    assert [letter.dlq_id for letter in first.messages] == ids[:2]
    assert [letter.dlq_id for letter in second.messages] == ids[2:]
    assert second.cursor is None
    assert [m["dlqId"] for m in backwards["messages"]] == [ids[2], ids[1]]
    assert [m["dlqId"] for m in rest["messages"]] == [ids[0]]
    assert "cursor" not in rest


def test_page_of_large_letters_ends_early_and_goes_on(
    client: QStash, http: httpx.Client, destination: Destination
) -> None:
    sizes = (9_000_000, 1_000_000, 10_000_000, 1)
    ids = [give_up(client, destination, "x" * size) for size in sizes]

    pages, cursor = [], ""
    while cursor is not None:
        page = http.get("/v2/dlq", params={"cursor": cursor}).json()
        pages.append([letter["dlqId"] for letter in page["messages"]])
        cursor = page.get("cursor")

    assert pages == [ids[:2], ids[2:]]


def test_letter_larger_than_a_page_is_a_page(
    client: QStash, http: httpx.Client, destination: Destination
) -> None:
    answers = b"y" * 1_000_000
    ids = [
        give_up(client, destination, "x" * 10_400_000, answer=answers)
        for _ in range(2)
    ]

    first = client.dlq.list()
    second = client.dlq.list(cursor=first.cursor)

    assert [letter.dlq_id for letter in first.messages] == ids[:1]
    assert [letter.dlq_id for letter in second.messages] == ids[1:]
    assert second.cursor is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("responseStatus=500", 1),
        ("responseStatus=404", 0),
        ("label=a", 1),
        ("label=b", 0),
        ("source=workflow", 0),
    ],
)
def test_filters(
    client: QStash,
    http: httpx.Client,
    destination: Destination,
    query: str,
    found: int,
) -> None:
    give_up(client, destination, label="a")

    answer = http.get(f"/v2/dlq?{query}")

    assert len(answer.json()["messages"]) == found


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/dlq?typo=1"),
        ("DELETE", "/v2/dlq?typo=1"),
        ("POST", "/v2/dlq/retry?typo=1"),
        ("GET", "/v2/dlq?cursor=x"),
        ("GET", "/v2/dlq?order=random"),
        ("GET", "/v2/dlq?count=101"),
    ],
)
def test_malformed_filter_is_400(
    http: httpx.Client, method: str, path: str
) -> None:
    answer = http.request(method, path)

    assert answer.status_code == 400


def test_several_statuses_are_an_or(
    http: httpx.Client, client: QStash, destination: Destination
) -> None:
    destination.answers += [Answer(500), Answer(503), Answer(404)]
    for _ in range(3):
        client.message.publish(url=destination.url, retries=0)
    until(lambda: len(client.dlq.list().messages) == 3)

    found = http.get("/v2/dlq?responseStatus=500&responseStatus=503").json()

    statuses = {one["responseStatus"] for one in found["messages"]}
    assert statuses == {500, 503}
