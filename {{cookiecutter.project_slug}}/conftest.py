"""Shared by the tests of the project, its engine and its server."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

pytest_plugins = ["django_hookflow.pytest_plugin"]

HERE = Path(__file__).parent

# What a shell has started in the background ignores Ctrl-C, and so would the
# processes that the tests start, and stop by it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Races run where two can write at once: `make test-postgres`.
ON_POSTGRESQL = [
    HERE / "django_hookflow/tests/races",
    HERE / "qstash_server/tests/test_locks.py",  # qstash-server
]

# These look at files, start processes with databases of their own, or ask
# the database for nothing that depends on it.
ON_SQLITE = [
    HERE / "django_hookflow/tests/test_time_limit.py",
    HERE / "django_hookflow/tests/test_transports.py",
    HERE / "django_hookflow/tests/http/test_retention.py",
]
# temporal: begin
ON_SQLITE += [
    HERE / "django_hookflow/contrib/temporal/tests/test_transport.py",
    HERE / "temporal_app/tests",
]
# temporal: end
# qstash-server: begin
# Of the embedded server it is the modules with SQL of their own that run on
# both.
SERVER = HERE / "qstash_server/tests"
ON_SQLITE += [
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
]
# qstash-server: end


# What may take longer than the default of pyproject.toml: real processes,
# and thousands of histories. What hangs is ended all the same, by its name.
LONG = ("http", "production", "slow")
LONG_FOLDERS = [HERE / "django_hookflow/tests/simulation"]
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
    other = "sqlite" if postgres else "postgresql"
    gone = [
        item
        for item in items
        if others & {item.path, *item.path.parents}
        or item.get_closest_marker(other)
        or (postgres and is_once(item))
    ]
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if item not in gone]


def is_once(item: pytest.Item) -> bool:
    """Return True if it uses the fixture `every`, with single deliveries.

    A duplicate meets locks and conflicts, which are a database's own. What
    only a single delivery shows, a message that was lost and that a duplicate
    would make up for, is the engine's and the same on both.
    """
    parameters = getattr(item, "callspec", None)
    return parameters is not None and parameters.params.get("every") == 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, Any]:
    """Fail skipped tests in CI."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> None:
    """Print the seconds by folder."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folder = report.nodeid.partition("::")[0].rpartition("/")[0]
                seconds[folder] += report.duration  # type: ignore[assignment]
    if len(seconds) < 2:
        return
    terminalreporter.section("seconds by folder")
    for folder, spent in seconds.most_common():
        terminalreporter.write_line(f"{spent:8.1f} {folder}")
