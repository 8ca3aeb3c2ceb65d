"""/metrics, read by the parser of Prometheus' own client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import signals
from django_hookflow import tracing
from django_hookflow import workflow
from django_hookflow.contrib.observability import exposition
from django_hookflow.contrib.observability import gunicorn
from django_hookflow.contrib.observability import metrics
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RetryableError
from django_hookflow.exceptions import TransportError
from django_hookflow.models import WorkflowRun
from django_hookflow.operations import maintenance
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport

PROJECT = Path(__file__).resolve().parents[4]
TOKEN = "token-of-Prometheus-7Kq2"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
TRACER = "django_hookflow.contrib.observability.metrics.MetricsTracer"

Labels = tuple[tuple[str, str], ...]
Samples = dict[tuple[str, Labels], float]


@pytest.fixture
def counting(settings: Settings) -> Iterator[None]:
    """Make a site with a token, which counts from zero."""

    settings.DJANGO_METRICS_TOKEN = TOKEN
    settings.DJANGO_METRICS_CACHE = 0
    settings.DJANGO_HOOKFLOW_TRACERS = [TRACER]
    for family in list(metrics.REGISTRY._names_to_collectors.values()):
        family.clear()  # type: ignore[attr-defined]
    exposition.forget()
    metrics.listen()
    yield
    for signal, receiver in metrics.RECEIVERS:
        signal.disconnect(receiver, dispatch_uid="hookflow_metrics")
    exposition.forget()


def scrape() -> Samples:
    response = Client().get("/metrics", headers=BEARER)
    assert response.status_code == 200
    return parse(response.content.decode())


def parse(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(samples: Samples, name: str) -> dict[Labels, float]:
    """Return the values of a metric that are not 0, by labels."""
    return {
        labels: value
        for (known, labels), value in samples.items()
        if known == name and value
    }


def test_without_a_token_there_is_no_such_page() -> None:
    assert Client().get("/metrics").status_code == 404


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", TOKEN, f"Basic {TOKEN}", "ü"]
)
def test_only_who_has_the_token_may_look(counting: None, header: str) -> None:
    response = Client().get("/metrics", headers={"Authorization": header})

    assert response.status_code == 401
    assert TOKEN not in response.content.decode()


def test_metrics_are_only_read(counting: None) -> None:
    assert Client().post("/metrics", headers=BEARER).status_code == 405


def test_any_host_and_plain_http_are_answered(
    counting: None, settings: Settings
) -> None:
    settings.SECURE_SSL_REDIRECT = True

    response = Client().get(
        "/metrics", headers={**BEARER, "Host": "10.0.0.7:8000"}
    )

    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=")


def test_what_happens_to_runs_is_counted(every: World, counting: None) -> None:
    def charge() -> None:
        raise RetryableError("not now")

    @workflow(workflow_id="shop", retry=RetryPolicy(retries=2))
    def shop(ctx: WorkflowContext) -> None:
        ctx.step.run("reserve", str)
        ctx.step.sleep("nap", 60)
        ctx.step.run("charge", charge)

    every.finish(shop.trigger())
    samples = scrape()

    shop_ = ("workflow", "shop")
    assert of(samples, "hookflow_runs_triggered_total") == {(shop_,): 1}
    assert of(samples, "hookflow_deliveries_total") == {
        (("outcome", "waiting"), shop_): 3,
        (("outcome", "failed"), shop_): 1,
    }
    assert of(samples, "hookflow_steps_total") == {
        (("kind", "run"), ("status", "completed"), shop_): 1,
        (("kind", "sleep"), ("status", "completed"), shop_): 1,
        (("kind", "run"), ("status", "failed"), shop_): 1,
    }
    assert of(samples, "hookflow_retries_total") == {
        (("kind", "run"), shop_): 2
    }
    assert of(samples, "hookflow_step_seconds_count") == {
        (("kind", "run"), shop_): 4,
        (("kind", "sleep"), shop_): 2,
    }
    assert of(samples, "hookflow_delivery_seconds_count") == {(shop_,): 4}
    assert of(samples, "hookflow_runs") == {(("status", "failed"), shop_): 1}
    assert of(samples, "hookflow_dead_letters") == {(): 1}
    assert of(samples, "hookflow_database_up") == {(): 1}
    stale = {} if every.times == 1 else {(("answer", "stale"),): 4}
    assert of(samples, "hookflow_webhook_answers_total") == {
        (("answer", "waiting"),): 3,
        (("answer", "failed"),): 1,
        **stale,
    }


def test_a_failure_outside_steps_is_a_retry_of_the_workflow(
    world: World, counting: None
) -> None:
    @workflow(workflow_id="shop", retry=RetryPolicy(retries=1))
    def shop(ctx: WorkflowContext) -> None:
        raise RetryableError("no")

    world.finish(shop.trigger())

    assert of(scrape(), "hookflow_retries_total") == {
        (("kind", "workflow"), ("workflow", "shop")): 1
    }


def test_the_first_failure_is_an_increase(counting: None) -> None:
    @workflow(workflow_id="shop")
    def shop(ctx: WorkflowContext) -> None: ...

    metrics.listen()
    samples = scrape()

    labels = (("outcome", "failed"), ("workflow", "shop"))
    assert samples["hookflow_deliveries_total", labels] == 0
    assert samples[
        "hookflow_webhook_answers_total", (("answer", "refused"),)
    ] == 0  # fmt: skip


def test_refused_messages_are_counted_without_their_address(
    counting: None,
) -> None:
    Client().post("/hookflow/workflow/of-nobody/")
    Client().get("/hookflow/workflow/of-nobody/")

    assert of(scrape(), "hookflow_webhook_answers_total") == {
        (("answer", "refused"),): 1,
        (("answer", "405"),): 1,
    }


def test_a_late_delivery_is_counted_as_late(
    world: World, counting: None
) -> None:
    @workflow(workflow_id="shop")
    def shop(ctx: WorkflowContext) -> None: ...

    shop.trigger()
    world.advance(7)
    world.deliver()

    samples = scrape()
    label = ("workflow", "shop")
    assert of(samples, "hookflow_delivery_late_seconds_sum") == {(label,): 7}
    assert (
        samples[
            "hookflow_delivery_late_seconds_bucket", (("le", "5.0"), label)
        ]
        == 0
    )


def test_overdue_runs_are_seen_until_the_sweeper_comes(
    world: World, counting: None
) -> None:
    @workflow(workflow_id="shop")
    def shop(ctx: WorkflowContext) -> None: ...

    shop.trigger()
    shop.trigger()
    memory_transport().waiting.clear()
    world.advance(90)
    before = scrape()
    maintenance.sweep()
    after = scrape()

    assert of(before, "hookflow_overdue_runs") == {(): 2}
    assert of(before, "hookflow_oldest_overdue_seconds") == {(): 30}
    assert of(after, "hookflow_overdue_runs") == {}
    assert of(after, "hookflow_oldest_overdue_seconds") == {}
    assert of(after, "hookflow_swept_total") == {(("workflow", "shop"),): 2}


def test_messages_that_cannot_be_sent_are_counted(counting: None) -> None:
    signals.send_failed.send(
        WorkflowRun, workflow_id="shop", run_id="r", error=TransportError()
    )

    assert of(scrape(), "hookflow_send_failures_total") == {
        (("workflow", "shop"),): 1
    }


def test_a_job_that_ended_well_says_when(counting: None) -> None:
    with tracing.job("hookflow-sweep", timedelta(minutes=1)):
        pass
    with (
        pytest.raises(PermanentError),
        tracing.job("cleanup-workflows", timedelta(days=1)),
    ):
        raise PermanentError("no")

    jobs = of(scrape(), "hookflow_job_last_success_timestamp_seconds")
    assert jobs.keys() == {(("job", "hookflow-sweep"),)}


def test_rows_are_counted_by_three_queries_and_not_at_each_look(
    counting: None, settings: Settings
) -> None:
    settings.DJANGO_METRICS_CACHE = 60

    with CaptureQueriesContext(connection) as first:
        exposition.cached_counts()
    with CaptureQueriesContext(connection) as second:
        exposition.cached_counts()

    assert (len(first), len(second)) == (3, 0)


def test_a_database_that_is_away_is_said_to_be(counting: None) -> None:
    def lost(*_: object) -> None:
        raise OperationalError

    with connection.execute_wrapper(lost):
        samples = scrape()

    assert samples["hookflow_database_up", ()] == 0
    assert ("hookflow_dead_letters", ()) not in samples


# Counts in a process of its own and prints its id.
COUNT = """
import os, django
django.setup()
from django_hookflow.contrib.observability import metrics
metrics.STEPS.labels("shop", "run", "completed").inc(2)
metrics.STEP_SECONDS.labels("shop", "run").observe(0.01)
metrics.JOBS.labels("sweep").set({job})
print(os.getpid())
"""
READ = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django_hookflow.contrib.observability import exposition
print(exposition.write("")[0].decode())
"""


def python(code: str, directory: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "DATABASE_URL": f"sqlite:///{directory}/db.sqlite3",
            "PROMETHEUS_MULTIPROC_DIR": str(directory),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_processes_are_counted_together(tmp_path: Path) -> None:
    python(COUNT.format(job=100), tmp_path)
    python(COUNT.format(job=50), tmp_path)

    samples = parse(python(READ, tmp_path))

    labels = (("kind", "run"), ("status", "completed"), ("workflow", "shop"))
    assert of(samples, "hookflow_steps_total") == {labels: 4}
    assert of(samples, "hookflow_step_seconds_count") == {
        (("kind", "run"), ("workflow", "shop")): 2
    }
    assert of(samples, "hookflow_job_last_success_timestamp_seconds") == {
        (("job", "sweep"),): 100
    }
    assert samples["hookflow_database_up", ()] == 1


GUNICORN = """
import json, os
from django_hookflow.contrib.observability import gunicorn
gunicorn.share_metrics()
directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
print(json.dumps([directory, directory and os.listdir(directory)]))
"""


@pytest.mark.parametrize("token", ["", TOKEN])
def test_gunicorn_makes_an_empty_directory_if_there_is_a_token(
    tmp_path: Path, token: str
) -> None:
    environment = {**os.environ, "DJANGO_METRICS_TOKEN": token}
    environment.pop("PROMETHEUS_MULTIPROC_DIR", None)
    environment["TMPDIR"] = str(tmp_path)

    done = subprocess.run(
        [sys.executable, "-c", GUNICORN],
        cwd=PROJECT, env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip

    directory, files = json.loads(done.stdout)
    assert bool(directory) == bool(token)
    assert not files
    assert list(tmp_path.iterdir()) == []


def test_gunicorn_empties_the_directory_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_METRICS_TOKEN", TOKEN)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "shared"))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "counter_1.db").touch()

    gunicorn.share_metrics()

    assert list((tmp_path / "shared").iterdir()) == []


COMMAND = """
import django
django.setup()
from django_hookflow.contrib.observability import metrics
metrics.DELIVERIES.labels("w", "completed").inc()
"""


def command(
    directory: str, tmp_path: Path
) -> subprocess.CompletedProcess[str]:
    """Count in a command of the site, such as migrate before gunicorn."""
    settings = tmp_path / "counting.py"
    settings.write_text(
        "from config.settings.test import *\n"
        f"DJANGO_METRICS_TOKEN = {TOKEN!r}\n"
    )
    return subprocess.run(
        [sys.executable, "-c", COMMAND],
        cwd=tmp_path,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "counting",
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{PROJECT}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PROMETHEUS_MULTIPROC_DIR": directory,
        },
        capture_output=True,
        text=True,
    )


def test_a_command_may_count_before_gunicorn_has_made_the_directory(
    tmp_path: Path,
) -> None:
    done = command(str(tmp_path / "not" / "yet"), tmp_path)

    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "not" / "yet").glob("*.db"))) == 1


def test_a_directory_that_is_set_to_nothing_is_not_set(
    tmp_path: Path,
) -> None:
    done = command("", tmp_path)

    assert done.returncode == 0, done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["counting.py"]


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = command(str(tmp_path / "file" / "below"), tmp_path)

    assert "PROMETHEUS_MULTIPROC_DIR is " in done.stderr.splitlines()[-1]
    assert "leave it out." in done.stderr.splitlines()[-1]


def test_a_worker_that_is_gone_leaves_its_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Worker:
        pid = 4711

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (tmp_path / "counter_4711.db").touch()
    (tmp_path / "gauge_liveall_4711.db").touch()

    gunicorn.child_exit(None, Worker())

    assert [file.name for file in tmp_path.iterdir()] == ["counter_4711.db"]
