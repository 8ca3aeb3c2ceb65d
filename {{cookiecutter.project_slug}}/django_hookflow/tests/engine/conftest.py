"""The engine commits by itself, so its tests must not roll back."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def engine_database(transactional_db: None, workflows: None) -> None:
    """Empty the database after each test, and restore the registry."""
