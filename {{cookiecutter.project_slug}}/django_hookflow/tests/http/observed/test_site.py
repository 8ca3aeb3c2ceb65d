"""Gunicorn, the embedded QStash and a Sentry receiver, as real processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest
from pytest_django import DjangoDbBlocker

from django_hookflow.contrib.observability.tests.document import DOCUMENT
from django_hookflow.contrib.observability.tests.document import commands_of
from django_hookflow.contrib.observability.tests.receiver import Receiver
from django_hookflow.contrib.observability.tests.receiver import listening
from django_hookflow.contrib.observability.tests.test_metrics import Samples
from django_hookflow.contrib.observability.tests.test_metrics import of
from django_hookflow.contrib.observability.tests.test_metrics import parse
from django_hookflow.tests.http.conftest import database
from django_hookflow.tests.http.stack import DIRECT
from django_hookflow.tests.http.stack import HOST
from django_hookflow.tests.http.stack import PROJECT
from django_hookflow.tests.http.stack import Stack
from django_hookflow.tests.ports import free_ports

pytestmark = [pytest.mark.http, pytest.mark.slow]

TOKEN = "token-of-Prometheus-7Kq2"
TRIGGER = "/trigger/{}/"


class Watched(Stack):
    """A site that sends to Sentry."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            "DJANGO_SETTINGS_MODULE": f"{__package__}.settings",
            **self.secrets,
        }

    def end(self, run_id: str) -> str:
        """Wait for the end of a run, and return its status."""
        table = "django_hookflow_workflowrun"
        query = f"SELECT status FROM {table} WHERE run_id = '{run_id}'"
        ended = ("completed", "failed")

        def status() -> str | None:
            ((now,),) = self.rows(query)
            return str(now) if now in ended else None

        return self.wait_for(status, self.sweep)

    def metrics(self) -> Samples:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        request = Request(f"{self.site}/metrics", headers=headers)
        with DIRECT.open(request, timeout=60) as response:
            return parse(response.read().decode())


@pytest.fixture
def sentry() -> Iterator[Receiver]:
    with listening() as receiver:
        yield receiver


@pytest.fixture
def watched(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker, sentry: Receiver
) -> Iterator[Watched]:
    """Start a site with all of observability, and its QStash."""
    site_port, qstash_port = free_ports(2)
    with database(tmp_path) as url, django_db_blocker.unblock():
        made = Watched(tmp_path, url, site_port, qstash_port)
        made.secrets = {
            **made.secrets,
            "SENTRY_DSN": sentry.dsn,
            "SENTRY_TRACES_SAMPLE_RATE": "1",
            "DJANGO_METRICS_TOKEN": TOKEN,
            "DJANGO_LOG_FORMAT": "json",
        }
        made.prepare()
        try:
            made.start_missing()
            yield made
        finally:
            made.stop()


def test_a_deployed_site_reports_what_it_does(
    watched: Watched, sentry: Receiver
) -> None:
    walked = watched.get(TRIGGER.format("three_deliveries"))["run_id"]
    failed = watched.get(TRIGGER.format("failing"))["run_id"]

    assert watched.end(walked) == "completed"
    assert watched.end(failed) == "failed"

    reports(watched, sentry, walked, failed)
    counts(watched)
    lines(watched, walked)
    commands(watched, sentry, failed)
    check_ins(watched, sentry)


def reports(
    watched: Watched, sentry: Receiver, walked: str, failed: str
) -> None:
    """Sentry received one event, and for each run transactions of a trace."""

    def named(name: str) -> list[Any]:
        transactions = sentry.of("transaction")
        return [t for t in transactions if t["transaction"] == name]

    watched.wait_for(
        lambda: (
            len(named("three_deliveries")) == 3
            and len(named("failing")) == 3
            and sentry.of("event")
        )
    )
    (event,) = sentry.of("event")
    assert event["tags"] == {
        "workflow": "failing",
        "run_id": failed,
        "step_id": "charge",
    }
    assert "request" not in event
    traces = {
        t["contexts"]["trace"]["trace_id"] for t in named("three_deliveries")
    }
    assert traces < {
        t["contexts"]["trace"]["trace_id"]
        for t in named("/trigger/{workflow_id}/")
    }
    assert len(traces) == 1
    assert not [
        t
        for t in sentry.of("transaction")
        if t["transaction"].startswith("/hookflow/")
    ]


def counts(watched: Watched) -> None:
    """Each worker shows the counts of both."""
    label = ("workflow", "three_deliveries")
    for _ in range(8):
        samples = watched.metrics()
        assert of(samples, "hookflow_steps_total")[
            ("kind", "sleep"), ("status", "completed"), label
        ] == 2  # fmt: skip
        assert samples["hookflow_delivery_seconds_count", (label,)] == 3
        assert of(samples, "hookflow_dead_letters") == {(): 1}


def lines(watched: Watched, run_id: str) -> None:
    """Each line of the log is JSON, and says where it was made."""
    log = (watched.folder / "site.log").read_text(encoding="utf-8")
    records = [json.loads(line) for line in log.splitlines()]
    said = {
        (record["logger"], record["message"]): record
        for record in records
        if record.get("run_id") == run_id
    }

    assert [
        record["message"]
        for record in records
        if record["logger"] == "workflows.three_deliveries"
    ] == ["set out", "arrived"]
    counting = said["observed", "counting"]
    assert (counting["step_id"], counting["attempt"]) == ("count", 1)
    assert len(counting["request_id"]) == 32
    access = [r for r in records if r["logger"] == "gunicorn.access"]
    triggered = TRIGGER.format("three_deliveries")
    (asked,) = (record for record in access if record["path"] == triggered)
    assert (asked["method"], asked["status"]) == ("GET", 200)
    assert said["django_hookflow", f"three_deliveries {run_id} triggered"][
        "request_id"
    ] == asked["request_id"]  # fmt: skip
    assert "/metrics" not in {record["path"] for record in access}
    assert "gunicorn.error" in {record["logger"] for record in records}


def check_ins(watched: Watched, sentry: Receiver) -> None:
    """Jobs of cron send check-ins at their start and their end."""
    watched.manage("hookflow_sweep")
    watched.manage("cleanup_workflows")

    for job in ("hookflow-sweep", "cleanup-workflows"):
        assert {"in_progress", "ok"} == {
            one["status"]
            for one in sentry.of("check_in")
            if one["monitor_slug"] == job
        }


def commands(watched: Watched, sentry: Receiver, run_id: str) -> None:
    """The commands in docs/observability.md work as described."""
    history, failures, hello, metrics = (
        run(watched, command, run_id) for command in commands_of(DOCUMENT)
    )

    if shutil.which("jq"):
        assert history.count("waiting: RetryableError") == 2
        assert f"failing {run_id} failed" in history
        assert run_id in failures
    assert "# TYPE hookflow_runs gauge" in metrics
    assert "Error" not in hello
    watched.wait_for(
        lambda: "Hello from the shop" in [
            event.get("message") for event in sentry.of("event")
        ]
    )  # fmt: skip


def run(watched: Watched, command: str, run_id: str) -> str:
    if " jq " in f" {command}" and not shutil.which("jq"):
        return ""
    command = command.replace("127.0.0.1:8000", f"{HOST}:{watched.site_port}")
    command = command.replace("site.log", str(watched.folder / "site.log"))
    command = command.replace("python ", f"{sys.executable} ", 1)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=PROJECT,
        env={**watched.environment, "RUN_ID": run_id},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


IDLE = """
import django, sys
django.setup()
print([n for n in ("sentry_sdk", "prometheus_client") if n in sys.modules])
from django.conf import settings
print(list(settings.DJANGO_HOOKFLOW_TRACERS))
from django.test import Client
print(Client().get("/metrics", headers={"host": "127.0.0.1"}).status_code)
print([n for n in ("sentry_sdk", "prometheus_client") if n in sys.modules])
"""


def test_what_is_not_asked_for_is_not_even_imported(
    tmp_path: Path,
) -> None:
    stack = Stack(tmp_path, f"sqlite:///{tmp_path}/db.sqlite3", 1, 2)

    done = subprocess.run(
        [sys.executable, "-c", IDLE],
        cwd=PROJECT, env=stack.environment, capture_output=True, text=True,
    )  # fmt: skip

    assert done.stdout.splitlines() == ["[]", "[]", "404", "[]"], done.stderr
