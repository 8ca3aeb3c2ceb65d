"""The engine commits by itself, so its tests must not roll back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_hookflow.tests.simulation.runner import Simulation
from django_hookflow.tests.simulation.runner import simulation


@pytest.fixture
def stage(transactional_db: None) -> Iterator[Simulation]:
    """Make the simulation, with its database."""
    with simulation() as made:
        yield made
