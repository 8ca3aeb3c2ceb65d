"""Cron lines, time zones and the two nights of the year."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from qstash_server.cron import CronError
from qstash_server.cron import parse

BERLIN = ZoneInfo("Europe/Berlin")


def moments(line: str, start: str, count: int = 1) -> list[str]:
    """The next moments in UTC, by ISO."""
    now = int(datetime.fromisoformat(f"{start}+00:00").timestamp() * 1000)
    found = []
    for _ in range(count):
        now = parse(line).after(now) or 0
        moment = datetime.fromtimestamp(now / 1000, UTC)
        found.append(moment.strftime("%Y-%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("* * * * *", ["2026-11-20T12:01", "2026-11-20T12:02"]),
        ("*/20 * * * *", ["2026-11-20T12:20", "2026-11-20T12:40"]),
        ("5/25 * * * *", ["2026-11-20T12:05", "2026-11-20T12:30"]),
        ("10-12 9 * * *", ["2026-11-21T09:10", "2026-11-21T09:11"]),
        ("0 8,20 * * *", ["2026-11-20T20:00", "2026-11-21T08:00"]),
        ("0 0 1 JAN,jul *", ["2027-01-01T00:00", "2027-07-01T00:00"]),
        ("0 9 * * MON-FRI", ["2026-11-23T09:00", "2026-11-24T09:00"]),
        ("0 9 * * 7", ["2026-11-22T09:00", "2026-11-29T09:00"]),
        ("0 9 * * */6", ["2026-11-21T09:00", "2026-11-22T09:00"]),
        ("0 0 13 * FRI", ["2026-11-27T00:00", "2026-12-04T00:00"]),
        ("0 0 */10 * FRI", ["2026-12-11T00:00", "2027-01-01T00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        (
            "CRON_TZ=America/New_York 0 9 * * *",
            ["2026-11-20T14:00", "2026-11-21T14:00"],
        ),
    ],
)
def test_line_means_these_moments(line: str, expected: list[str]) -> None:
    assert moments(line, "2026-11-20T12:00:30", 2) == expected


def test_moment_itself_is_not_after_it() -> None:
    assert moments("0 * * * *", "2026-11-20T12:00:00") == ["2026-11-20T13:00"]


def test_hour_that_summer_time_skips_has_no_run() -> None:
    # In Berlin 02:30 does not occur on 29 March 2026.
    line = "CRON_TZ=Europe/Berlin 30 2 * * *"

    assert moments(line, "2026-03-27T12:00:00", 3) == [
        "2026-03-28T01:30",
        "2026-03-30T00:30",
        "2026-03-31T00:30",
    ]


def test_hour_that_occurs_twice_has_one_run() -> None:
    # In Berlin 02:30 occurs at 00:30 and 01:30 UTC on 25 October 2026.
    line = "CRON_TZ=Europe/Berlin 30 2 * * *"

    assert moments(line, "2026-10-24T12:00:00", 2) == [
        "2026-10-25T00:30",
        "2026-10-26T01:30",
    ]


def test_february_30_never_comes() -> None:
    assert parse("0 0 30 2 *").after(0) is None


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "five fields expected, found 0"),
        ("@daily", "five fields expected, found 1"),
        ("0 * * * * *", "five fields expected, found 6"),
        ("60 * * * *", "minute: '60' is not between 0 and 59"),
        ("* 24 * * *", "hour: '24' is not between 0 and 23"),
        ("* * 0 * *", "day of month: '0' is not between 1 and 31"),
        ("* * * 13 *", "month: '13' is not between 1 and 12"),
        ("* * * * 8", "day of week: '8' is not between 0 and 7"),
        ("* * * * MO", "day of week: 'MO' is not between 0 and 7"),
        ("* * L * *", "day of month: 'L' is not between 1 and 31"),
        ("* * * * 5#2", "day of week: '5#2' is not understood"),
        ("*/0 * * * *", "minute: '*/0' is empty"),
        ("5-3 * * * *", "minute: '5-3' is empty"),
        (",1 * * * *", "minute: '' is not understood"),
        ("CRON_TZ=Mars/Base * * * * *", "unknown time zone 'Mars/Base'"),
        ("CRON_TZ=../x * * * * *", "unknown time zone '../x'"),
    ],
)
def test_anything_else_is_refused(line: str, complaint: str) -> None:
    with pytest.raises(CronError) as refused:
        parse(line)

    assert str(refused.value) == complaint
