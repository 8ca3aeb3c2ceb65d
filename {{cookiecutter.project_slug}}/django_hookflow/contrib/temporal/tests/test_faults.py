"""Workers and the server die while runs move, and every run ends right."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from django.core.management import CommandError
from django.core.management import call_command
from django.db import connection

from django_hookflow import workflow
from django_hookflow.contrib.temporal.tests import programs
from django_hookflow.contrib.temporal.tests.asking import ended
from django_hookflow.contrib.temporal.tests.asking import new_id
from django_hookflow.contrib.temporal.tests.server import DevServer
from django_hookflow.contrib.temporal.tests.server import start_worker
from django_hookflow.contrib.temporal.tests.server import wait_until
from django_hookflow.contrib.temporal.tests.server import working
from django_hookflow.contrib.temporal.worker import Job
from django_hookflow.models import WorkflowRun
from django_hookflow.states import RunStatus

pytestmark = pytest.mark.usefixtures("workflows")

STEPS = [f"step-{number}" for number in range(6)]


def held(ledger: Path) -> tuple[Path, str]:
    """Start a run; its first step lasts until the file is deleted."""
    hold = ledger / "hold"
    hold.touch()
    return hold, workflow(programs.steady).trigger(run_id=new_id())


@pytest.mark.usefixtures("transactional_db")
def test_a_run_whose_worker_was_killed_goes_on_in_another(
    temporal: DevServer, queue: str, ledger: Path
) -> None:
    hold, run_id = held(ledger)
    with process(ledger, temporal, queue) as first:
        wait_until(programs.effects)

        first.kill()
        first.wait()
    hold.unlink()

    with process(ledger, temporal, queue) as second:
        assert ended(run_id).result == 6
        second.send_signal(signal.SIGTERM)
        assert second.wait(60) == 0

    # The step under way ran again, and no other.
    assert programs.effects() == ["step-0", *STEPS]
    assert (ledger / "worker.log").read_text().endswith("Stopped.\n")


@pytest.mark.usefixtures("transactional_db")
def test_a_worker_that_is_told_to_stop_hands_its_run_back(
    temporal: DevServer, queue: str, ledger: Path
) -> None:
    hold, run_id = held(ledger)
    with process(ledger, temporal, queue) as first:
        wait_until(programs.effects)

        first.send_signal(signal.SIGTERM)
        hold.unlink()
        assert first.wait(60) == 0
    run = WorkflowRun.objects.get(run_id=run_id)
    assert (run.status, run.lease_token) == (RunStatus.WAITING, "")

    with working(Job(task_queue=queue)):
        assert ended(run_id).result == 6

    assert programs.effects() == STEPS


@pytest.mark.usefixtures("transactional_db")
def test_a_server_that_was_killed_goes_on_where_it_was(
    temporal: DevServer, queue: str, ledger: Path
) -> None:
    hold, run_id = held(ledger)
    with working(Job(task_queue=queue)):
        wait_until(programs.effects)

        temporal.kill()
        hold.unlink()
        wait_until(lambda: "step-1" in programs.effects())
        temporal.start()

        assert ended(run_id).result == 6
    assert programs.effects() == STEPS


@pytest.mark.postgresql
def test_connections_that_the_database_ends_are_replaced(
    worker: Job, ledger: Path
) -> None:
    steady = workflow(programs.steady)
    assert ended(steady.trigger(run_id=new_id())).result == 6
    end_other_connections()
    assert ended(steady.trigger(run_id=new_id())).result == 6
    hold = ledger / "hold"
    hold.touch()
    run_id = steady.trigger(run_id=new_id())
    wait_until(lambda: programs.effects().count("step-0") == 3)

    end_other_connections()
    hold.unlink()

    assert ended(run_id).result == 6
    assert programs.effects().count("step-0") == 4
    assert programs.effects().count("step-5") == 3


def test_a_worker_without_a_server_says_where_it_looked(
    settings: object,
) -> None:
    settings.TEMPORAL_ADDRESS = "127.0.0.1:1"  # type: ignore[attr-defined]

    with pytest.raises(
        CommandError,
        match=r"^The worker cannot use Temporal at 127\.0\.0\.1:1: ",
    ):
        call_command("run_temporal_worker")


def test_a_number_of_activities_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(
        CommandError,
        match=r"^Invalid --max-concurrent 0, expected 1 to 1000\.$",
    ):
        call_command("run_temporal_worker", "--max-concurrent=0")


class process:  # noqa: N801
    """A worker as a process, which is killed if a test fails."""

    def __init__(self, folder: Path, server: DevServer, queue: str) -> None:
        self.worker = start_worker(folder, server.address, queue)

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self.worker

    def __exit__(self, *_: object) -> None:
        if self.worker.poll() is None:
            os.kill(self.worker.pid, signal.SIGKILL)
            self.worker.wait()


def end_other_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
            "datname = current_database() AND pid <> pg_backend_pid()"
        )
