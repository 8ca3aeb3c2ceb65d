"""Gunicorn as a host starts it that puts all variables into a file."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request

import pytest
from pytest_django import DjangoDbBlocker

from django_hookflow.contrib.observability.tests.test_metrics import Samples
from django_hookflow.contrib.observability.tests.test_metrics import of
from django_hookflow.contrib.observability.tests.test_metrics import parse
from django_hookflow.tests.http.conftest import database
from django_hookflow.tests.http.stack import DIRECT
from django_hookflow.tests.http.stack import Stack
from django_hookflow.tests.ports import free_ports

pytestmark = [pytest.mark.http, pytest.mark.slow]

TOKEN = "token-of-Prometheus-7Kq2"
REFUSED = {(("answer", "refused"),): 7}


class Filed(Stack):
    """Make a site whose environment names only a file of variables.

    The file is written like the one for a host.
    """

    @property
    def environment(self) -> dict[str, str]:
        in_file = self.variables
        around = super().environment
        return {n: v for n, v in around.items() if n not in in_file} | {
            "DJANGO_ENV_FILE": str(self.folder / "production.env")
        }

    @property
    def variables(self) -> dict[str, str]:
        return {
            "DJANGO_METRICS_TOKEN": TOKEN,
            "DJANGO_LOG_FORMAT": "line",
            "PORT": str(self.site_port),
            "WEB_CONCURRENCY": "3",
            "WEB_THREADS": "2",
        }

    def write_file(self) -> None:
        lines = (f"{n}={v}\n" for n, v in self.variables.items())
        (self.folder / "production.env").write_text("".join(lines), "utf-8")

    def start_site(self) -> None:
        self.start("site", "-m", "gunicorn", "config.wsgi")
        self.wait_for(self.is_up)

    def workers(self) -> set[str]:
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.processes["site"].pid)],
            capture_output=True, text=True,
        )  # fmt: skip
        return set(found.stdout.split())

    def send_nonsense(self) -> None:
        with pytest.raises(HTTPError, match="401"):
            self.request("/hookflow/workflow/nobodys/", {})

    def scrape(self) -> Samples:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        request = Request(f"{self.site}/metrics", headers=headers)
        with DIRECT.open(request, timeout=60) as response:
            return parse(response.read().decode())

    def refused(self) -> dict[object, float]:
        return dict(of(self.scrape(), "hookflow_webhook_answers_total"))


@pytest.fixture
def filed(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[Filed]:
    with database(tmp_path) as url, django_db_blocker.unblock():
        made = Filed(tmp_path, url, *free_ports(2))
        made.write_file()
        made.manage("migrate", "--no-input")
        try:
            made.start_site()
            yield made
        finally:
            made.stop()


def test_gunicorn_reads_the_file_that_the_site_reads(filed: Filed) -> None:
    filed.wait_for(lambda: len(filed.workers()) == 3)
    for _ in range(7):
        filed.send_nonsense()

    told = [filed.refused() for _ in range(9)]

    assert told == [REFUSED] * 9
    assert not [line for line in filed.log("site") if line.startswith("{")]


def test_a_reload_forgets_nothing_that_was_counted(filed: Filed) -> None:
    for _ in range(7):
        filed.send_nonsense()
    before = filed.wait_for(filed.workers)

    os.kill(filed.processes["site"].pid, signal.SIGHUP)
    filed.wait_for(
        lambda: len(filed.workers()) == 3 and not filed.workers() & before
    )

    assert [filed.refused() for _ in range(6)] == [REFUSED] * 6
