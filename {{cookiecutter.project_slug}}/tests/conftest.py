"""What all tests share."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Generator
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from django_hookflow import clock
from django_hookflow.transports.memory import MemoryTransport
from django_hookflow.workflows import registry
from tests.world import World

HERE = Path(__file__).parent

# What a shell has started in the background ignores Ctrl-C, and so would the
# processes that the tests start, and stop by it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Races run where two can write at once: `make test-postgres`.
ON_POSTGRESQL = [HERE / "races", HERE / "qstash_server" / "test_locks.py"]

# These look at files, start processes with databases of their own, or ask
# the database for nothing that depends on it. Of the embedded server it is
# the modules with SQL of their own that run on both.
SERVER = HERE / "qstash_server"
ON_SQLITE = [
    HERE / "containers",
    HERE / "deploy",
    HERE / "http" / "test_retention.py",
    HERE / "production",
    SERVER / "test_accounts.py",
    SERVER / "test_browsers.py",
    SERVER / "test_clock.py",
    SERVER / "test_cron.py",
    SERVER / "test_durations.py",
    SERVER / "test_expression.py",
    SERVER / "test_guard.py",
    SERVER / "test_javascript_client.py",
    SERVER / "test_limits.py",
    SERVER / "test_readme.py",
    SERVER / "test_redaction.py",
    SERVER / "test_retries.py",
    SERVER / "test_signing.py",
    SERVER / "test_status_page.py",
    HERE / "test_scripts.py",
    HERE / "test_settings.py",
    HERE / "test_time_limit.py",
]


# What may take longer than the default of pyproject.toml: real processes,
# and thousands of histories. What hangs is ended all the same, by its name.
LONG = ("http", "production", "slow")
LONG_FOLDERS = [HERE / "simulation"]
LONGEST = 1800  # seconds, on a machine that does much else


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Run once what is the same on both databases; be patient with a few."""
    for item in items:
        long = any(item.get_closest_marker(name) for name in LONG)
        if long or {*LONG_FOLDERS} & {*item.path.parents}:
            item.add_marker(pytest.mark.timeout(LONGEST))
    postgres = connection.vendor == "postgresql"
    others = set(ON_SQLITE if postgres else ON_POSTGRESQL)
    gone = [
        item
        for item in items
        if others & {item.path, *item.path.parents}
        or (postgres and item.get_closest_marker("sqlite"))
    ]
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if item not in gone]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, Any]:
    """A skip on a laptop is a failure in CI: there it would be a lie."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> None:
    """Where the time went, by folder: to read, and never to fail by."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folder = report.nodeid.partition("::")[0].rpartition("/")[0]
                seconds[folder] += report.duration  # type: ignore[assignment]
    if seconds:
        terminalreporter.section("seconds by folder")
    for folder, spent in seconds.most_common():
        terminalreporter.write_line(f"{spent:8.1f} {folder}")


@pytest.fixture
def world() -> Iterator[World]:
    """A clock that only the test moves, and messages in memory."""
    made = World()
    MemoryTransport.reset()
    with clock.source(lambda: made.now):
        yield made
    MemoryTransport.reset()


# A duplicate meets locks and conflicts, which are a database's own. What
# only a single delivery shows, a message that was lost and that a duplicate
# would make up for, is the engine's and the same on both.
TIMES = {1: "once", 2: "twice"}
if connection.vendor == "postgresql":
    del TIMES[1]


@pytest.fixture(params=list(TIMES), ids=list(TIMES.values()))
def every(request: pytest.FixtureRequest, world: World) -> World:
    """The world with each message delivered once, and again twice."""
    world.times = request.param
    return world


@pytest.fixture
def workflows() -> Iterator[None]:
    """Forget the workflows that a test declares."""
    known = registry.get_all_workflows()
    yield
    registry._workflows.clear()
    registry._workflows.update(known)
