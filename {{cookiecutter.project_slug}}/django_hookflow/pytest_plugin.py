"""Fixtures for tests of workflows; conftest.py names this as a plugin.

It is imported before Django is set up, so fixtures import what they need.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django_hookflow.testing.world import World

# Its assertions say as much as those of a test's own module.
pytest.register_assert_rewrite("django_hookflow.testing.transports")


@pytest.fixture
def world() -> Iterator[World]:
    """Yield a clock that only the test moves, and messages in memory."""
    from django_hookflow import clock
    from django_hookflow.testing.world import World

    made = World()
    made.transport.reset()
    with clock.source(lambda: made.now):
        yield made
    made.transport.reset()


@pytest.fixture(params=[1, 2], ids=["once", "twice"])
def every(request: pytest.FixtureRequest, world: World) -> World:
    """Run the test twice: each message delivered once, then two times."""
    world.times = request.param
    return world


@pytest.fixture
def workflows() -> Iterator[None]:
    """Unregister the workflows that a test declares."""
    from django_hookflow.workflows.registry import restored

    with restored():
        yield
