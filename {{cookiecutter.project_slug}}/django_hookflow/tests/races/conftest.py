"""Races need a database that lets two write at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Threshold = Callable[[int | None], None]


@pytest.fixture(autouse=True)
def race_database(transactional_db: None, workflows: None) -> None:
    """A database that is emptied, and a registry that is put back."""


@pytest.fixture(autouse=True)
def threshold(
    race_database: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Threshold:
    """Says how often a new connection executes what it then prepares.

    Once, unless a test says otherwise: a race is over before a site would
    begin to prepare.
    """
    options = settings.DATABASES["default"]["OPTIONS"]

    def say(times: int | None) -> None:
        monkeypatch.setitem(options, "prepare_threshold", times)

    say(1)
    return say
