"""Steps are bars beside each other, with idle time folded."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta

import pytest

from django_hookflow.contrib.dashboard.timeline import rows_of
from django_hookflow.contrib.dashboard.timeline import took
from django_hookflow.models import StepExecution

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def step(
    kind: str, start: float | None, end: float | None = None
) -> StepExecution:
    """Return a step. `start`, `end`: seconds; None is not yet."""
    return StepExecution(
        kind=kind,
        status="waiting" if end is None else "completed",
        started_at=None if start is None else BEGIN + timedelta(seconds=start),
        executed_at=None if end is None else BEGIN + timedelta(seconds=end),
    )


def bars(*steps: StepExecution) -> list[tuple[str, str]]:
    return [(row.x, row.width) for row in rows_of(steps)]


def test_work_is_drawn_to_scale() -> None:
    assert bars(step("run", 0, 3), step("call", 3, 4)) == [
        ("0.0", "750.0"),
        ("750.0", "250.0"),
    ]


def test_idle_time_takes_a_quarter_of_all_work_at_most() -> None:
    day = 86_400

    found = bars(
        step("run", 0, 2),
        step("sleep", 2, day),
        step("run", day, day + 2),
    )

    # 2 seconds, 1 in the place of a day, and 2 again.
    assert found == [
        ("0.0", "400.0"),
        ("400.0", "200.0"),
        ("600.0", "400.0"),
    ]


def test_waits_alone_are_drawn_to_scale() -> None:
    assert bars(step("sleep", 0, 30), step("sleep", 30, 40)) == [
        ("0.0", "750.0"),
        ("750.0", "250.0"),
    ]


def test_a_step_that_has_not_ended_reaches_the_right_end() -> None:
    assert bars(step("run", 0, 1), step("sleep", 1)) == [
        ("0.0", "920.0"),
        ("920.0", "80.0"),
    ]


def test_steps_at_once_and_steps_that_never_began_have_a_place() -> None:
    assert bars(step("run", 5, 5), step("undo", None)) == [
        ("0.0", "6.0"),
        ("", ""),
    ]
    assert bars() == []


def test_a_clock_that_went_back_draws_the_thinnest_bar() -> None:
    assert bars(step("run", 0, 10), step("run", 10, 9)) == [
        ("0.0", "1000.0"),
        ("994.0", "6.0"),
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0121, "12 ms"),
        (1.44, "1.4 s"),
        (200, "3 min"),
        (7_300, "2 h"),
        (180_000, "2 d"),
    ],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert took(timedelta(seconds=seconds)) == text
    assert took(None) == ""
