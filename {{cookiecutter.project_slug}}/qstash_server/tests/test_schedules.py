"""Messages by the clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from datetime import datetime

import httpx
import pytest
from qstash import QStash
from qstash.errors import QStashError

from qstash_server.clock import ManualClock
from qstash_server.conf import Config
from qstash_server.conf import Quotas
from qstash_server.tests.helpers import Answer
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until


def milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1000


@pytest.fixture
def clock() -> ManualClock:
    """It is Tuesday, half a minute past twelve."""
    return ManualClock(milliseconds("2026-11-17T12:00:30"))


def test_schedule_produces_a_message_at_each_of_its_moments(
    client: QStash, destination: Destination, clock: ManualClock
) -> None:
    schedule_id = client.schedule.create(
        destination=destination.url, cron="*/10 * * * *", body="tick"
    )

    clock.advance(9 * 60 + 30)
    destination.wait_for(1)
    clock.advance(600)
    destination.wait_for(2)

    first, second = destination.received
    assert first.body == second.body == b"tick"
    assert first.headers["upstash-schedule-id"] == schedule_id
    assert (
        first.headers["upstash-message-id"]
        != second.headers["upstash-message-id"]
    )


def test_schedule_shows_its_settings_and_its_last_messages(
    http: httpx.Client, destination: Destination, clock: ManualClock
) -> None:
    answer = http.post(
        f"/v2/schedules/{destination.url}/x?a=1",
        content=b"hello",
        headers={
            "Upstash-Cron": "*/10 * * * *",
            "Upstash-Schedule-Id": "mine",
            "Upstash-Method": "PUT",
            "Upstash-Forward-X-A": "1",
            "Upstash-Retries": "0",
            "Upstash-Retry-Delay": "1000",
            "Upstash-Delay": "5s",
            "Upstash-Timeout": "7s",
            "Upstash-Callback": "http://localhost/c",
            "Upstash-Failure-Callback": "http://localhost/f",
            "Upstash-Label": "a,b",
            "Content-Type": "text/plain",
        },
    )
    created_at = clock.now()
    clock.advance(570)

    def shown() -> dict[str, object]:
        found: dict[str, object] = http.get("/v2/schedules/mine").json()
        return found if "lastScheduleTime" in found else {}

    schedule = until(shown)
    states = schedule.pop("lastScheduleStates")
    assert answer.json() == {"scheduleId": "mine"}
    assert schedule == {
        "scheduleId": "mine",
        "cron": "*/10 * * * *",
        "createdAt": created_at,
        "destination": f"{destination.url}/x?a=1",
        "method": "PUT",
        "retries": 0,
        "header": {"Content-Type": ["text/plain"], "X-A": ["1"]},
        "body": "hello",
        "isPaused": False,
        "delay": 5,
        "timeout": 7000,
        "callback": "http://localhost/c",
        "failureCallback": "http://localhost/f",
        "callerIP": "127.0.0.1",
        "retryDelayExpression": "1000",
        "label": "a",
        "labels": ["a", "b"],
        "lastScheduleTime": milliseconds("2026-11-17T12:10:00"),
        "nextScheduleTime": milliseconds("2026-11-17T12:20:00"),
    }
    assert isinstance(states, dict)
    assert list(states.values()) == ["IN_PROGRESS"]


def test_schedule_to_a_group_has_its_default_headers(
    http: httpx.Client,
    client: QStash,
    destination: Destination,
    clock: ManualClock,
) -> None:
    client.url_group.upsert_endpoints("g", [{"url": destination.url}])
    defaults = {"headers": {"Upstash-Forward-X-Default": "d"}}
    http.patch("/v2/topics/g", json=defaults).raise_for_status()
    client.schedule.create(destination="g", cron="* * * * *")

    clock.advance(60)

    (received,) = destination.wait_for(1)
    assert received.headers["x-default"] == "d"


def test_moment_has_no_meaning_for_a_schedule(http: httpx.Client) -> None:
    headers = {
        "Upstash-Cron": "* * * * *",
        "Upstash-Not-Before": "99999999999",
    }

    answer = http.post("/v2/schedules/http://localhost:9/", headers=headers)

    assert answer.status_code == 200


def test_cancelled_message_of_a_schedule_has_failed(
    http: httpx.Client, client: QStash, clock: ManualClock
) -> None:
    schedule_id = client.schedule.create(
        destination="http://localhost:9/", cron="* * * * *", delay="1h"
    )
    clock.advance(60)
    query = {"scheduleId": schedule_id}
    until(
        lambda: http.delete("/v2/messages", params=query).json()["cancelled"]
    )

    states = http.get(f"/v2/schedules/{schedule_id}").json()

    assert list(states["lastScheduleStates"].values()) == ["FAIL"]


@pytest.mark.parametrize(
    ("status", "state"), [(200, "SUCCESS"), (500, "FAIL")]
)
def test_schedule_tells_how_its_last_message_fared(
    http: httpx.Client,
    client: QStash,
    destination: Destination,
    clock: ManualClock,
    status: int,
    state: str,
) -> None:
    destination.answers += [Answer(status)]
    schedule_id = client.schedule.create(
        destination=destination.url, cron="* * * * *", retries=0
    )

    clock.advance(30)

    def states() -> list[str]:
        shown = http.get(f"/v2/schedules/{schedule_id}").json()
        return list(shown.get("lastScheduleStates", {}).values())

    until(lambda: states() == [state])


def test_same_id_replaces_all_settings(
    client: QStash, destination: Destination
) -> None:
    client.schedule.create(
        destination=destination.url,
        cron="* * * * *",
        body="old",
        schedule_id="mine",
        label="old",
    )

    client.schedule.create(
        destination=f"{destination.url}/new",
        cron="*/5 * * * *",
        schedule_id="mine",
    )

    (schedule,) = client.schedule.list()
    assert schedule.destination == f"{destination.url}/new"
    assert (schedule.cron, schedule.body) == ("*/5 * * * *", None)
    assert schedule.label is None


def test_paused_schedule_skips_its_moments(
    client: QStash, destination: Destination, clock: ManualClock
) -> None:
    schedule_id = client.schedule.create(
        destination=destination.url, cron="* * * * *"
    )
    client.schedule.pause(schedule_id)
    assert client.schedule.get(schedule_id).paused
    clock.advance(180)
    client.message.publish(url=f"{destination.url}/other")
    destination.wait_for(1)

    client.schedule.resume(schedule_id)
    client.schedule.resume(schedule_id)
    clock.advance(60)

    destination.wait_for(2)
    targets = [one.target for one in destination.received]
    assert targets == ["/other", "/"]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_pause_has_two_methods(
    http: httpx.Client, destination: Destination, method: str
) -> None:
    http.post(
        f"/v2/Schedules/{destination.url}",
        headers={"Upstash-Cron": "* * * * *", "Upstash-Schedule-Id": "s"},
    )

    paused = http.request(method, "/v2/schedules/s/pause")
    shown = http.get("/v2/schedules/s").json()
    resumed = http.request(method, "/v2/schedules/s/resume")

    assert (paused.status_code, resumed.status_code) == (200, 200)
    assert shown["isPaused"]
    assert "nextScheduleTime" not in shown


def test_deleted_schedule_produces_no_more(
    client: QStash, destination: Destination, clock: ManualClock
) -> None:
    schedule_id = client.schedule.create(
        destination=destination.url, cron="* * * * *"
    )

    client.schedule.delete(schedule_id)

    clock.advance(120)
    client.message.publish(url=f"{destination.url}/other")
    (received,) = destination.wait_for(1)
    assert received.target == "/other"
    with pytest.raises(QStashError, match=rf"404.*{schedule_id} not found"):
        client.schedule.get(schedule_id)


def test_schedule_may_feed_a_group_and_a_queue(
    client: QStash, destination: Destination, clock: ManualClock
) -> None:
    client.url_group.upsert_endpoints(
        "g", [{"url": f"{destination.url}/{n}"} for n in range(2)]
    )
    client.schedule.create(destination="g", cron="* * * * *", queue="q")
    client.queue.pause("q")

    clock.advance(30)

    until(lambda: client.queue.get("q").lag == 2)
    client.queue.resume("q")
    received = destination.wait_for(2)
    assert [one.headers["upstash-topic-name"] for one in received] == ["g"] * 2


def test_schedule_of_a_group_that_is_gone_says_so_and_goes_on(
    http: httpx.Client,
    client: QStash,
    destination: Destination,
    clock: ManualClock,
) -> None:
    client.url_group.upsert_endpoints("g", [{"url": destination.url}])
    schedule_id = client.schedule.create(destination="g", cron="* * * * *")
    client.url_group.delete("g")

    clock.advance(30)

    path = f"/v2/schedules/{schedule_id}"
    until(lambda: http.get(path).json().get("error"))
    assert http.get(path).json()["error"] == "url group g not found"


def test_messages_of_a_schedule_are_no_duplicates_of_each_other(
    http: httpx.Client, destination: Destination, clock: ManualClock
) -> None:
    http.post(
        f"/v2/schedules/{destination.url}",
        headers={
            "Upstash-Cron": "* * * * *",
            "Upstash-Deduplication-Id": "one",
        },
    )

    clock.advance(30)
    destination.wait_for(1)
    clock.advance(60)

    destination.wait_for(2)


def test_line_that_will_not_come_again_is_shown_without_a_next_time(
    http: httpx.Client, destination: Destination, clock: ManualClock
) -> None:
    answer = http.post(
        f"/v2/schedules/{destination.url}",
        headers={"Upstash-Cron": "0 0 30 2 *"},
    )

    assert answer.status_code == 400
    assert answer.json() == {"error": "upstash-cron: '0 0 30 2 *' never comes"}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("http://localhost/", {}, 400),
        ("http://localhost/", {"Upstash-Cron": "x"}, 400),
        ("ftp://localhost/", {"Upstash-Cron": "* * * * *"}, 400),
        ("nobody", {"Upstash-Cron": "* * * * *"}, 404),
        (
            "http://localhost/",
            {"Upstash-Cron": "* * * * *", "Upstash-Schedule-Id": "a b"},
            400,
        ),
    ],
)
def test_malformed_schedule_is_refused(
    http: httpx.Client, path: str, headers: dict[str, str], status: int
) -> None:
    answer = http.post(f"/v2/schedules/{path}", headers=headers)

    assert answer.status_code == status


class TestQuotas:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, quotas=Quotas(max_schedules=1))

    def test_too_many_schedules_are_412(self, client: QStash) -> None:
        def create(schedule_id: str) -> None:
            client.schedule.create(
                destination="http://localhost/",
                cron="* * * * *",
                schedule_id=schedule_id,
            )

        create("one")
        create("one")

        with pytest.raises(QStashError, match=r"412.*maxSchedules"):
            create("two")
