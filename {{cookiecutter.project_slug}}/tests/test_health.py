"""/livez and /readyz, as a load balancer and a monitor ask them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from core.health import Finding
from core.health import Probe
from django_hookflow import workflow
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.testing.world import World
from django_hookflow.workflows.context import WorkflowContext

# The probes look from threads of their own.
pytestmark = pytest.mark.django_db(transaction=True)

FINE = {
    "status": "ready",
    "checks": {
        "database": {"ok": True},
        "migrations": {"ok": True},
        "runs": {"ok": True, "overdue": 0.0},
        "transport": {"ok": True},
    },
}


def ready(client: Client, query: str = "") -> tuple[int, Any]:
    response = client.get(f"/readyz{query}", headers={"host": "10.0.0.7"})
    return response.status_code, json.loads(response.content)


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_foreign_host_over_http_is_answered(
    client: Client, settings: LazySettings, path: str
) -> None:
    settings.SECURE_SSL_REDIRECT = True

    response = client.get(path, headers={"host": "10.0.0.7:8000"})

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_head_gets_the_status_without_a_body(
    client: Client, path: str
) -> None:
    response = client.head(path)

    assert (response.status_code, response.content) == (200, b"")


def test_another_method_is_refused(client: Client) -> None:
    response = client.post("/readyz")

    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"


def test_all_is_well(client: Client) -> None:
    assert ready(client) == (200, FINE)
    assert ready(client, "?all") == (200, FINE)


def test_a_missing_migration_is_not_ready(client: Client) -> None:
    applied = MigrationRecorder(connection)
    applied.record_unapplied("core", "0001_initial")
    try:
        status, body = ready(client)
    finally:
        applied.record_applied("core", "0001_initial")

    assert (status, body["status"]) == (503, "not ready")
    assert body["checks"]["migrations"]["problem"] == (
        "Migrations are not applied: 1 from core.0001_initial on. "
        'Run "manage.py migrate".'
    )


def test_an_overdue_run_is_for_monitors_not_for_load_balancers(
    client: Client, world: World, workflows: None
) -> None:
    @workflow(workflow_id="overdue")
    def waits(ctx: WorkflowContext) -> None: ...

    waits.trigger(data={})
    world.advance(601)

    routed, monitored = ready(client), ready(client, "?all")

    assert (routed[0], routed[1]["status"]) == (200, "degraded")
    assert monitored[0] == 503
    assert monitored[1]["checks"]["runs"] == {
        "ok": False,
        "overdue": 601.0,
        "problem": "A run has been due for 601 s. See whether hookflow_sweep "
        "runs every minute, and whether QStash reaches "
        "DJANGO_HOOKFLOW_DOMAIN.",
    }


def test_sweeping_does_not_make_a_run_less_overdue(
    world: World, workflows: None
) -> None:
    @workflow(workflow_id="swept")
    def waits(ctx: WorkflowContext) -> None: ...

    waits.trigger(data={})
    world.advance(600)
    assert len(WorkflowPersistence.sweep(10)) == 1

    world.advance(600)

    assert WorkflowPersistence.overdue_seconds() == 1200


def test_a_run_that_sleeps_is_not_overdue(
    world: World, workflows: None
) -> None:
    @workflow(workflow_id="sleeps")
    def sleeps(ctx: WorkflowContext) -> None:
        ctx.step.sleep("night", "8h")

    sleeps.trigger(data={})
    world.deliver()

    world.advance("4h")

    assert WorkflowPersistence.overdue_seconds() == 0


@pytest.fixture
def qstash(settings: LazySettings) -> Iterator[Any]:
    """Yield a QStash whose GET /v2/keys answers as a test wants."""

    class Handler(BaseHTTPRequestHandler):
        answer: tuple[int, dict[str, str]] = (200, {})
        asked: list[tuple[str, str | None]] = []  # noqa: RUF012

        def do_GET(self) -> None:
            self.asked.append((self.path, self.headers["Authorization"]))
            status, body = self.answer
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.QSTASH_URL = f"http://127.0.0.1:{server.server_port}"
    settings.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT = 60  # on a busy machine
    settings.DJANGO_HOOKFLOW_TRANSPORT = (
        "django_hookflow.transports.qstash.QStashTransport"
    )
    yield Handler
    server.shutdown()
    server.server_close()


def keys(settings: LazySettings) -> dict[str, str]:
    return {
        "current": settings.QSTASH_CURRENT_SIGNING_KEY,
        "next": settings.QSTASH_NEXT_SIGNING_KEY,
    }


def test_qstash_is_asked_once_for_many_who_ask(
    client: Client, qstash: Any, settings: LazySettings
) -> None:
    qstash.answer = (200, keys(settings))

    answers = [ready(client, "?all") for _ in range(5)]

    assert answers == [(200, FINE)] * 5
    assert qstash.asked == [("/v2/keys", "Bearer token-of-the-Tests-7Kq2")]


def test_keys_that_were_rotated_twice_are_noticed(
    client: Client, qstash: Any, settings: LazySettings
) -> None:
    qstash.answer = (200, {"current": "sig_other", "next": "sig_another"})

    status, body = ready(client, "?all")

    assert (status, body["status"]) == (503, "degraded")
    assert body["checks"]["transport"]["problem"] == (
        "QStash signs with a key that this site does not know. Copy "
        "QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY from its "
        "console."
    )


def test_no_answer_tells_a_secret(
    client: Client, qstash: Any, settings: LazySettings
) -> None:
    qstash.answer = (401, {"error": f"bad token {settings.QSTASH_TOKEN}"})

    response = client.get("/readyz?all")

    assert response.status_code == 503
    text = response.content.decode()
    assert "QStash cannot be reached (QStashError)." in text
    assert not any(
        secret in text
        for secret in (settings.QSTASH_TOKEN, *keys(settings).values())
    )


def test_a_qstash_that_hangs_does_not_hang_the_answer(
    client: Client, settings: LazySettings
) -> None:
    settings.READY_PATIENCE = 5
    settings.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT = 3600
    settings.DJANGO_HOOKFLOW_TRANSPORT = (
        "django_hookflow.transports.qstash.QStashTransport"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.QSTASH_URL = f"http://127.0.0.1:{silent.getsockname()[1]}"

        status, body = ready(client)

    assert (status, body["status"]) == (200, "degraded")
    assert body["checks"]["transport"] == {
        "ok": False,
        "problem": "No answer within 5 s. Is it reachable from here?",
    }


def test_what_hangs_is_looked_at_by_one_thread_only() -> None:
    begun: list[int] = []
    go_on = threading.Event()

    def look() -> dict[str, Finding]:
        begun.append(1)
        go_on.wait(60)
        return {"it": Finding()}

    probe = Probe("it", look, keep=60)
    probe.start()
    probe.start()
    hanging = probe.findings(0.01)
    go_on.set()

    assert probe.findings(60) == {"it": Finding()}
    assert not hanging["it"].ok
    assert begun == [1]
