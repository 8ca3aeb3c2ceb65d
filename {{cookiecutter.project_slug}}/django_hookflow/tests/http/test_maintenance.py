"""Sweeping and cleaning up as processes, over real HTTP."""

from __future__ import annotations

import os
import signal
from datetime import UTC
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from django_hookflow.contrib.observability.tests.receiver import listening
from django_hookflow.tests.http.stack import Stack

pytestmark = pytest.mark.http

RUNS = "SELECT 1 FROM django_hookflow_workflowrun"
SCHEDULES = "SELECT 1 FROM qstash_server_schedule"
SENT_AGAIN = "Sent again for"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_loop_that_waits_ends_at_once_when_it_is_told(
    stack: Stack, number: int
) -> None:
    stack.start("sweeper", "manage.py", "hookflow_sweep", "--every", "3600")
    stack.wait_for(lambda: "Again every 3600 seconds" in stack.logs())

    status = stack.end("sweeper", number)

    assert status == 0
    assert stack.log("sweeper") == [
        "Again every 3600 seconds until SIGTERM.",
        "Stopped.",
    ]


def test_a_loop_goes_on_at_once_when_it_reached_its_limit(
    stack: Stack,
) -> None:
    stack.trigger_ledgers(["run-1", "run-2", "run-3"])
    overdue(stack)

    stack.start(
        "sweeper", "manage.py", "hookflow_sweep", "--every=3600", "--limit=1"
    )
    stack.wait_for(lambda: said(stack) == 3)

    stack.end("sweeper")
    assert "1 more are overdue: continuing." in stack.log("sweeper")


def test_a_loop_outlives_a_database_that_is_away(stack: Stack) -> None:
    stack.trigger_ledgers(["run-1"])
    stack.start("sweeper", "manage.py", "hookflow_sweep", "--every", "0.2")
    stack.wait_for(lambda: said(stack) == 1)

    take_away(stack)
    stack.wait_for(lambda: "The database cannot be used" in stack.logs())
    bring_back(stack)
    stack.trigger_ledgers(["run-2"])
    stack.wait_for(lambda: said(stack) >= 2)

    assert stack.end("sweeper") == 0


def test_schedules_sweep_a_lost_run_and_clean_up(stack: Stack) -> None:
    stack.trigger_ledgers(["lost-1"])  # no process takes its message
    stack.start_qstash("--time-scale", "3600")  # a day in 24 seconds
    stack.start_site(DJANGO_HOOKFLOW_KEEP_DAYS="0")

    told = stack.tell("hookflow_schedule")
    stack.wait_for(lambda: not stack.rows(RUNS))

    assert told == [
        f'Registered hookflow-sweep-127.0.0.1: "* * * * *" {task(stack)}',
        'Registered hookflow-cleanup-127.0.0.1: "17 3 * * *" '
        f"{task(stack, 'cleanup')}",
    ]


def test_make_dev_sweeps_a_lost_run_and_stops_with_ctrl_c(
    stack: Stack,
) -> None:
    stack.trigger_ledgers(["lost-1"])  # no process takes its message
    stack.start("dev", "scripts/dev.py", PORT=str(stack.site_port))
    stack.wait_for(lambda: len(stack.rows(SCHEDULES)) == 2)
    stack.wait_for(stack.is_up)

    stack.write("UPDATE qstash_server_schedule SET next_at = 1")
    stack.trigger_ledgers(["late-1"])  # its message lets the server look
    lost = f"{RUNS} WHERE run_id = 'lost-1' AND status = 'completed'"
    stack.wait_for(lambda: stack.rows(lost))

    group = stack.processes["dev"].pid
    os.killpg(group, signal.SIGINT)  # what a terminal does
    assert stack.processes.pop("dev").wait(timeout=60) == 0
    stack.wait_for(lambda: not is_alive(group))


def is_alive(group: int) -> bool:
    """True while a process of a group is still there."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_sentry_hears_of_each_sweep_and_cleanup(stack: Stack) -> None:
    with listening() as receiver:
        for command in ("hookflow_sweep", "cleanup_workflows"):
            assert not stack.run(command, SENTRY_DSN=receiver.dsn).returncode
        stack.run(
            "hookflow_sweep",
            SENTRY_DSN=receiver.dsn,
            DATABASE_URL=f"sqlite:///{stack.folder / 'empty.sqlite3'}",
        )
        check_ins = receiver.of("check_in")

    assert [(one["monitor_slug"], one["status"]) for one in check_ins] == [
        ("hookflow-sweep", "in_progress"),
        ("hookflow-sweep", "ok"),
        ("cleanup-workflows", "in_progress"),
        ("cleanup-workflows", "ok"),
        ("hookflow-sweep", "in_progress"),
        ("hookflow-sweep", "error"),
    ]


def task(stack: Stack, name: str = "sweep") -> str:
    return f"{stack.site}/hookflow/maintenance/{name}/"


def said(stack: Stack) -> int:
    return sum(line.startswith(SENT_AGAIN) for line in stack.log("sweeper"))


def overdue(stack: Stack) -> None:
    """Wait until all runs are overdue for the sweeper."""
    late = (
        "SELECT 1 FROM django_hookflow_workflowrun WHERE sweep_at > %s LIMIT 1"
    )
    stack.wait_for(
        lambda: not stack.rows(late, f"{datetime.now(UTC):%F %T.%f}+00")
    )


def take_away(stack: Stack) -> None:
    """Refuse new connections, and end the present ones."""
    if stack.database_url.startswith("sqlite:"):
        file = stack.folder / "db.sqlite3"
        file.rename(stack.folder / "away.sqlite3")
        link(file, stack.folder)
        return
    name = stack.database_url.rpartition("/")[2]
    with server() as connection:
        connection.execute(
            f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"
        )
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = %s",
            [name],
        )


def bring_back(stack: Stack) -> None:
    if stack.database_url.startswith("sqlite:"):
        link(stack.folder / "db.sqlite3", stack.folder / "away.sqlite3")
        return
    name = stack.database_url.rpartition("/")[2]
    with server() as connection:
        connection.execute(
            f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true"
        )


def link(file: Path, target: Path) -> None:
    """Make `file` a link to `target` in one step."""
    new = file.with_suffix(".new")
    new.symlink_to(target)
    new.replace(file)


def server() -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
