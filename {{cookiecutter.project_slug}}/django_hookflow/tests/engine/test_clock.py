"""The clock of the engine."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime

from django_hookflow import clock


def test_the_clock_is_that_of_the_system_unless_moved() -> None:
    before = datetime.now(UTC)

    assert before <= clock.now() <= datetime.now(UTC)
