"""Fixtures for tests of workflows; conftest.py names this as a plugin.

It is imported before Django is set up, so fixtures import what they need.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django_hookflow.testing.world import World


@pytest.fixture
def world() -> Iterator[World]:
    """A clock that only the test moves, and messages in memory."""
    from django_hookflow import clock
    from django_hookflow.testing.world import World
    from django_hookflow.transports.memory import MemoryTransport

    made = World()
    MemoryTransport.reset()
    with clock.source(lambda: made.now):
        yield made
    MemoryTransport.reset()


@pytest.fixture(params=[1, 2], ids=["once", "twice"])
def every(request: pytest.FixtureRequest, world: World) -> World:
    """The world with each message delivered once, and again twice."""
    world.times = request.param
    return world


@pytest.fixture
def workflows() -> Iterator[None]:
    """Forget the workflows that a test declares."""
    from django_hookflow.workflows.registry import restored

    with restored():
        yield
