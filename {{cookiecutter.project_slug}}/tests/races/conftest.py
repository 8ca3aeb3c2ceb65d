"""Races need a database that lets two write at once."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def race_database(transactional_db: None, workflows: None) -> None:
    """A database that is emptied, and a registry that is put back."""
