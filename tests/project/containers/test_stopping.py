"""SIGTERM for the site behind gunicorn.conf.py, in the middle of a step."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django_hookflow.tests.http.brake.workflows import STEPS
from django_hookflow.tests.http.conftest import database
from django_hookflow.tests.http.shop.shop import Shop
from django_hookflow.tests.http.stack import DEADLINE
from django_hookflow.tests.http.stack import HOST
from django_hookflow.tests.http.stack import Stack
from django_hookflow.tests.ports import free_ports
from pytest_django import DjangoDbBlocker

pytestmark = [pytest.mark.http, pytest.mark.slow]

IN_A_STEP = "INSERT INTO ledger"
ALL_STEPS = [f"step-{number}" for number in range(STEPS)]


@pytest.fixture
def site(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Shop]:
    """Yield the site and a run that is held in its first step."""
    with database(tmp_path) as url, django_db_blocker.unblock():
        made = Shop(tmp_path, url, *free_ports(2))
        made.prepare()
        try:
            made.start_qstash()
            start_site(made)
            made.brake_at(IN_A_STEP)
            made.trigger_ledgers(["held"])
            made.wait_until_it_stands()
            yield made
        finally:
            made.stop()


def test_the_step_under_way_is_recorded_and_the_rest_goes_on_elsewhere(
    site: Shop,
) -> None:
    process = site.processes.pop("site")
    with idle_connection(site) as ended:
        process.terminate()
        ended()  # the worker has received it
    still_there = process.poll() is None
    site.release()

    assert still_there
    assert process.wait(DEADLINE) == 0, site.logs()
    assert executed(site) == ["step-0"]
    assert site.rows(
        "SELECT r.status, r.lease_token, e.step_id, e.status "
        "FROM django_hookflow_workflowrun r "
        "JOIN django_hookflow_stepexecution e ON e.workflow_run_id = r.id"
    ) == [("waiting", "", "step-0", "completed")]

    start_site(site)
    site.wait_for(lambda: status(site) == "completed", site.sweep)
    assert executed(site) == ALL_STEPS


def start_site(stack: Shop) -> None:
    """Start gunicorn as it is deployed, with one worker."""
    stack.start(
        "site", "-m", "gunicorn", "config.wsgi",
        f"--bind={HOST}:{stack.site_port}", "--workers=1",
    )  # fmt: skip
    stack.wait_for(stack.products)


def executed(stack: Stack) -> list[str]:
    rows = stack.rows("SELECT step_id FROM ledger ORDER BY at")
    return [step for (step,) in rows]


def status(stack: Stack) -> str:
    ((found,),) = stack.rows("SELECT status FROM django_hookflow_workflowrun")
    return str(found)


@contextmanager
def idle_connection(stack: Stack) -> Iterator[Callable[[], None]]:
    """Yield a connection kept alive; what is yielded waits for its other end.

    A worker that stops closes those at once, while requests continue.
    """
    connection = http.client.HTTPConnection(
        HOST, stack.site_port, timeout=DEADLINE
    )
    connection.request("GET", "/livez")
    assert connection.getresponse().read() == b"ok\n"
    sock = connection.sock

    def ended() -> None:
        assert sock.recv(1) == b""

    try:
        yield ended
    finally:
        connection.close()
