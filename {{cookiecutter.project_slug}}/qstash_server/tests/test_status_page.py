"""The page for developers, as a browser uses it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from qstash import QStash

from qstash_server.clock import ManualClock
from qstash_server.conf import Config
from qstash_server.server import Server
from qstash_server.tests.helpers import Answer
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until


@pytest.fixture
def browser(server: Server) -> Iterator[httpx.Client]:
    """A browser that has opened the page with the token once."""
    with httpx.Client(
        base_url=server.url,
        headers={"Origin": server.url},
        follow_redirects=True,
    ) as one:
        one.get("/?qstash_token=token-of-the-tests").raise_for_status()
        yield one


def press(browser: httpx.Client, action: str, identifier: str) -> str:
    """Press a button; the page that comes after it."""
    answer = browser.post(f"/status/{action}", data={"id": identifier})
    return answer.raise_for_status().text


def row(page: str, identifier: str) -> str:
    """The text of the table row that shows something."""
    (found,) = (
        one
        for one in re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
        if identifier in one
    )
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


def test_token_moves_into_a_cookie_that_scripts_and_others_cannot_use(
    server: Server,
) -> None:
    answer = httpx.get(f"{server.url}/?qstash_token=token-of-the-tests")

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert answer.headers["set-cookie"] == (
        "qstash_token=token-of-the-tests; Path=/; HttpOnly; SameSite=Strict"
    )


def test_page_shows_messages_with_their_fate(
    browser: httpx.Client,
    client: QStash,
    destination: Destination,
    dead_url: str,
) -> None:
    delivered = client.message.publish(url=f"{destination.url}/<b>")
    later = client.message.publish(url=destination.url, delay="1h")
    lost = client.message.publish(url=dead_url, retries=0)
    (letter,) = until(lambda: client.dlq.list().messages)
    until(
        lambda: "DELIVERED" in row(browser.get("/").text, delivered.message_id)
    )

    answer = browser.get("/")
    page = answer.text

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "delivered 1 DELIVERED Double" in row(page, delivered.message_id)
    assert "/<b>" not in page
    assert "waiting 0" in row(page, later.message_id)
    assert "Skip the delay Drop Double" in row(page, later.message_id)
    assert "failed 1 FAILED" in row(page, lost.message_id)
    assert row(page, letter.dlq_id).endswith("no answer Publish again Delete")
    assert "<b>1</b> waiting" in page


def test_empty_page_says_so(browser: httpx.Client) -> None:
    page = browser.get("/").text

    assert "Nothing has been published yet." in page
    assert "No message has been given up." in page


def test_delay_can_be_skipped(
    browser: httpx.Client, client: QStash, destination: Destination
) -> None:
    later = client.message.publish(url=destination.url, delay="7d")

    press(browser, "deliver", later.message_id)

    destination.wait_for(1)
    press(browser, "deliver", later.message_id)
    press(browser, "deliver", "msg_unknown")


def test_retry_can_be_made_now(
    browser: httpx.Client, client: QStash, destination: Destination
) -> None:
    destination.answers += [Answer(500)]
    failed = client.message.publish(url=destination.url)
    until(lambda: "Deliver now" in browser.get("/").text)

    press(browser, "deliver", failed.message_id)

    destination.wait_for(2)


def test_delay_under_a_flow_key_can_be_skipped(
    browser: httpx.Client, client: QStash, destination: Destination
) -> None:
    later = client.message.publish(
        url=destination.url,
        delay="7d",
        flow_control={"key": "k", "parallelism": 1},
    )

    press(browser, "deliver", later.message_id)

    destination.wait_for(1)


def test_message_can_be_dropped(
    browser: httpx.Client, client: QStash, destination: Destination
) -> None:
    later = client.message.publish(url=destination.url, delay="7d")

    page = press(browser, "drop", later.message_id)

    assert "canceled" in row(page, later.message_id)
    assert "Double" not in row(page, later.message_id)
    press(browser, "double", later.message_id)


def test_delivered_message_can_be_delivered_again_with_its_id(
    browser: httpx.Client, client: QStash, destination: Destination
) -> None:
    published = client.message.publish(url=destination.url)
    until(lambda: "delivered" in browser.get("/").text)

    press(browser, "double", published.message_id)

    received = destination.wait_for(2)
    assert {one.headers["upstash-message-id"] for one in received} == {
        published.message_id
    }
    assert {one.headers["upstash-retried"] for one in received} == {"0"}


def test_waiting_message_can_be_duplicated(
    browser: httpx.Client,
    client: QStash,
    destination: Destination,
    clock: ManualClock,
) -> None:
    later = client.message.publish(url=destination.url, delay="1m")
    press(browser, "double", later.message_id)
    assert destination.received == []

    clock.advance(61)

    destination.wait_for(2)
    until(lambda: "delivered" in row(browser.get("/").text, later.message_id))
    assert len(destination.received) == 2


def test_dead_letter_can_be_published_again_or_deleted(
    browser: httpx.Client, client: QStash, destination: Destination
) -> None:
    destination.answers += [Answer(500), Answer(500)]
    for _ in range(2):
        client.message.publish(url=destination.url, retries=0)
    until(lambda: len(client.dlq.list().messages) == 2)
    one, two = client.dlq.list().messages

    press(browser, "retry", one.dlq_id)
    press(browser, "delete", two.dlq_id)

    destination.wait_for(3)
    assert client.dlq.list().messages == []


@pytest.mark.parametrize(
    ("path", "headers", "error"),
    [
        ("/status/drop", {"Origin": "http://evil.example"}, "not sent by"),
        ("/status/drop", {"Origin": ""}, "not sent by"),
        ("/status/format", {}, "no such button"),
    ],
)
def test_forms_of_others_are_refused(
    browser: httpx.Client, path: str, headers: dict[str, str], error: str
) -> None:
    answer = browser.post(path, data={"id": "x"}, headers=headers)

    assert answer.status_code == 403
    assert error in answer.json()["error"]


@pytest.mark.parametrize(
    "cookie", ["", "qstash_token=wrong", "qstash_token", "other=1", "(a=1"]
)
def test_page_is_for_those_who_know_the_token(
    server: Server, cookie: str
) -> None:
    answer = httpx.get(f"{server.url}/", headers={"Cookie": cookie})

    assert answer.status_code == 403


class TestDebug:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, debug=True)

    def test_browser_on_this_machine_needs_no_token(
        self, server: Server
    ) -> None:
        assert httpx.get(f"{server.url}/").status_code == 200

    def test_name_that_was_rebound_to_loopback_is_refused(
        self, server: Server
    ) -> None:
        headers = {"Host": "evil.example"}

        assert httpx.get(server.url, headers=headers).status_code == 403


def test_page_stands_still_when_it_is_told_to(browser: httpx.Client) -> None:
    moving = browser.get("/").text
    still = browser.get("/?still").text

    assert 'http-equiv="refresh"' in moving
    assert '<a href="/?still">Stand still</a>' in moving
    assert 'http-equiv="refresh"' not in still
    assert '<a href="/">Go on</a>' in still
