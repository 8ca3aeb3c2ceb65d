"""Fixtures for tests of workflows; conftest.py names this as a plugin.

It is imported before Django is set up, so fixtures import what they need.
"""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

import pytest

if TYPE_CHECKING:
    from django_hookflow.testing.kit import Hookflow
    from django_hookflow.testing.world import World

# Its assertions say as much as those of a test's own module.
pytest.register_assert_rewrite("django_hookflow.testing.transports")

MARKERS = (
    "hookflow(replay=True): replay=False does not replay the runs of a test",
)


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(
    pyfuncitem: pytest.Function,
) -> Generator[None, object, object]:
    """Fail a test that has passed, if its runs have not."""
    result = yield
    kit: Any = pyfuncitem.funcargs.get("hookflow")
    if kit is not None:
        kit.finish()
    return result


@pytest.fixture
def hookflow(request: pytest.FixtureRequest, db: None) -> Iterator[Hookflow]:
    """Run workflows in the transaction of the test; see docs/testing.md."""
    from django_hookflow.testing.kit import Hookflow

    marker = request.node.get_closest_marker("hookflow")
    replays = marker is None or marker.kwargs.get("replay", True)
    with Hookflow(replays=replays).running() as kit:
        yield kit


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
