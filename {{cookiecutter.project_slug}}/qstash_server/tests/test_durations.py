"""Durations and `Retry-After` values."""

from __future__ import annotations

import pytest

from qstash_server.durations import parse_duration
from qstash_server.durations import parse_wait

NOW = 1445412480_000  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("10s", 10_000),
        ("2m", 120_000),
        ("1h30m", 5_400_000),
        ("1d10h30m", 124_200_000),
        ("0s", 0),
        ("10", None),
        ("1.5s", None),
        ("-1s", None),
        ("1w", None),
        ("s", None),
        ("", None),
        ("\u0661s", None),
    ],
)
def test_delay_is_whole_numbers_with_units(
    text: str, milliseconds: int | None
) -> None:
    assert parse_duration(text) == milliseconds


def test_timeout_may_have_a_fraction() -> None:
    assert parse_duration("1.5s", fractions=True) == 1500


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("5", 5_000),
        (" 1.5 ", 1_500),
        ("6m5s", 365_000),
        ("1h0.5s", 3_600_500),
        ("250ms", 250),
        ("5us", 0),
        ("3000000µs", 3_000),
        ("2000000000ns", 2_000),
        ("Wed, 21 Oct 2015 07:29:00 GMT", 60_000),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
        ("-5", None),
        ("1d", None),
        ("soon", None),
        ("", None),
    ],
)
def test_wait_takes_all_forms_of_the_service(
    text: str, milliseconds: int | None
) -> None:
    assert parse_wait(text, NOW) == milliseconds
