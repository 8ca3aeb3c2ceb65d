"""Fixtures for tests of workflows; conftest.py names this as a plugin.

It is imported before Django is set up, so all imports what it needs.
"""

from __future__ import annotations

import unittest
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
    "hookflow_faults(budget=100): run the test again with a crash, a loss or "
    "a double at each place; budget is how often at most",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hookflow", "tests of workflows")
    group.addoption(
        "--hookflow-fault",
        action="append",
        default=[],
        metavar="STEP:PLACE",
        help="run the chosen tests once, with this fault, such as "
        "charge:after-effect; repeat it for two",
    )
    group.addoption(
        "--hookflow-seed",
        type=int,
        default=0,
        help="choose other pairs of faults for hookflow_faults",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(NotTried())
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give each test with faults the fixture that makes them."""
    if item.get_closest_marker("hookflow_faults") is None:
        return
    in_case = getattr(item, "cls", None)
    if in_case is not None and issubclass(in_case, unittest.TestCase):
        raise pytest.UsageError(
            f"{item.nodeid}: the marker hookflow_faults runs a test again "
            "with new fixtures, which a TestCase does not have. Write it as "
            "a function that takes the fixture hookflow."
        )
    names = getattr(item, "fixturenames", [])
    if "hookflow" not in names:
        names.append("hookflow")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> bool | None:
    if item.get_closest_marker("hookflow_faults") is None:
        return None
    if item.config.getoption("hookflow_fault"):
        return None  # that one, once, and as any other test
    from django_hookflow.testing.rerunning import rerun

    rerun(item, nextitem)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(
    pyfuncitem: pytest.Function,
) -> Generator[None, object, object]:
    """Fail a test that has passed, if its runs have not; show them if not."""
    kit: Any = pyfuncitem.funcargs.get("hookflow")
    if kit is None:
        return (yield)
    try:
        result = yield
        kit.finish()
    except (Exception, pytest.fail.Exception):
        pyfuncitem.add_report_section("call", "runs", kit.told())
        raise
    return result


class NotTried:
    """Tells at the end which faults a budget has left out.

    The reports come from the workers of pytest-xdist, too.
    """

    def __init__(self) -> None:
        self.lines: list[object] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = dict(report.user_properties).get("hookflow_not_tried")
        self.lines += [] if told is None else [told]

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        for line in self.lines:
            terminalreporter.write_line(str(line))


@pytest.fixture
def hookflow(request: pytest.FixtureRequest, db: None) -> Iterator[Hookflow]:
    """Run workflows in the transaction of the test; see docs/testing.md."""
    from django_hookflow.testing.faults import Faults
    from django_hookflow.testing.kit import Hookflow
    from django_hookflow.testing.rerunning import FAULTS
    from django_hookflow.testing.rerunning import KIT
    from django_hookflow.testing.rerunning import wanted

    item = request.node
    marker = item.get_closest_marker("hookflow")
    replays = marker is None or marker.kwargs.get("replay", True)
    faults = item.stash.get(FAULTS, None) or Faults(wanted(request.config))
    kit = Hookflow(replays=replays, faults=faults)
    item.stash[KIT] = kit
    with kit.running():
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
