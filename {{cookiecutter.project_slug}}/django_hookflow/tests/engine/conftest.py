"""The engine commits by itself, so its tests must not roll back."""

from __future__ import annotations

import pytest

from django_hookflow.tests.engine.doing import DONE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def engine_database(transactional_db: None, workflows: None) -> None:
    """Empty the database after each test, and restore the registry."""


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    DONE.clear()
