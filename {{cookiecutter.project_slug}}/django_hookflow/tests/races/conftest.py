"""Races need a database in which two transactions can write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Threshold = Callable[[int | None], None]


@pytest.fixture(autouse=True)
def race_database(transactional_db: None, workflows: None) -> None:
    """Empty the database after each test, and restore the registry."""


@pytest.fixture(autouse=True)
def threshold(
    race_database: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Threshold:
    """Set after how many executions a connection prepares a statement.

    It is one, unless a test says otherwise: a race is over before a site
    would begin to prepare.
    """
    options = settings.DATABASES["default"]["OPTIONS"]

    def say(times: int | None) -> None:
        monkeypatch.setitem(options, "prepare_threshold", times)

    say(1)
    return say
