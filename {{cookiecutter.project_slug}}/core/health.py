"""GET /livez and /readyz, for what starts, routes to and watches the site.

/livez    200 while the process answers at all
/readyz   200 while requests can be served; 503 when the database cannot be
          used or lacks a migration
/readyz?all   503 too when the transport is not reached or a run is overdue

Checks of /readyz?all alone must not stop requests to the site: the
deliveries that an overdue run waits for are requests.

A process keeps what it found, of the database for 1 second and of the
transport for 10, so asking often costs nothing; two may differ for so long.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest
from django.http import HttpResponse

from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.transports import get_transport

logger = logging.getLogger("core.health")

GIVEN_UP = 30.0  # seconds after which it is asked again beside that
# Without these no request can be served.
VITAL = frozenset({"database", "migrations"})

View = Callable[[HttpRequest], HttpResponse]


class HealthMiddleware:
    """Runs first: a probe knows no host name and uses plain http."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response
        self.probes = [
            Probe(name, look, keep=settings.READY_KEEPS[name])
            for name, look in LOOKS.items()
        ]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info not in ("/livez", "/readyz"):
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        if request.path_info == "/livez":
            return answer(request, 200, "ok\n", "text/plain")
        return self.readyz(request)

    def readyz(self, request: HttpRequest) -> HttpResponse:
        report = self.look()
        bad = {name for name, finding in report.items() if not finding.ok}
        status = "not ready" if bad & VITAL else "degraded" if bad else "ready"
        fine = not bad if "all" in request.GET else not bad & VITAL
        checks = {name: one.as_json() for name, one in report.items()}
        body = json.dumps({"status": status, "checks": checks}, indent=1)
        return answer(
            request, 200 if fine else 503, f"{body}\n", "application/json"
        )

    def look(self) -> dict[str, Finding]:
        """Return what each probe finds; they run concurrently."""
        until = time.monotonic() + settings.READY_PATIENCE
        for probe in self.probes:
            probe.start()
        found: dict[str, Finding] = {}
        for probe in self.probes:
            found |= probe.findings(max(0.0, until - time.monotonic()))
        return found


@dataclass(frozen=True)
class Finding:
    """The result of a check; `problem` says what is wrong and what to do."""

    ok: bool = True
    problem: str = ""
    overdue: float | None = None  # seconds, of the run that waits longest

    def as_json(self) -> dict[str, Any]:
        """Return {"ok": …, "problem": …, "overdue": …}, without empty ones."""
        said = {"problem": self.problem or None, "overdue": self.overdue}
        return {"ok": self.ok} | {
            name: value for name, value in said.items() if value is not None
        }


Findings = Mapping[str, Finding]


class Probe:
    """Looks in a thread, so that what hangs does not hang the answer.

    What it found is kept for `keep` seconds, so asking often costs nothing.
    """

    def __init__(
        self, name: str, look: Callable[[], Findings], keep: float
    ) -> None:
        self.name = name
        self.look = look
        self.keep = keep
        self.lock = threading.Lock()
        self.done = threading.Event()
        self.found: Findings = {}
        self.begun = self.ended = -keep

    def start(self) -> None:
        """Start a look, unless one is running or recent."""
        with self.lock:
            now = time.monotonic()
            if self.ended < self.begun > now - GIVEN_UP:
                return
            if self.found and now - self.ended < self.keep:
                return
            self.begun = now
            self.done.clear()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        found = self.look()
        for name, finding in found.items():
            if not finding.ok:
                logger.warning("%s: %s", name, finding.problem)
        with self.lock:
            self.found = found
            self.ended = time.monotonic()
            self.done.set()

    def findings(self, timeout: float) -> Findings:
        if self.done.wait(timeout):
            return self.found
        problem = (
            f"No answer within {settings.READY_PATIENCE:g} s. Is it reachable "
            "from here?"
        )
        return {self.name: Finding(ok=False, problem=problem)}


def look_at_database() -> Findings:
    """Ask the database, on a connection that is closed again."""
    try:
        migrations = look_at_migrations()
        found = {"database": Finding(), "migrations": migrations}
        return found | ({"runs": look_at_runs()} if migrations.ok else {})
    except Exception:
        logger.exception("The database cannot be used")
        return {
            "database": Finding(
                ok=False,
                problem="It cannot be used; the log says why. Compare "
                "DATABASE_URL, and see whether the server runs.",
            )
        }
    finally:
        connections.close_all()


def look_at_migrations() -> Finding:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not missing:
        return Finding()
    first = missing[0][0]
    return Finding(
        ok=False,
        problem=f"Migrations are not applied: {len(missing)} from "
        f'{first.app_label}.{first.name} on. Run "manage.py migrate".',
    )


def look_at_runs() -> Finding:
    overdue = round(WorkflowPersistence.overdue_seconds(), 1)
    if overdue <= settings.DJANGO_READY_OVERDUE:
        return Finding(overdue=overdue)
    return Finding(
        ok=False,
        overdue=overdue,
        problem=f"A run has been due for {overdue:,.0f} s. See whether "
        "hookflow_sweep runs every minute, and whether QStash reaches "
        "DJANGO_HOOKFLOW_DOMAIN.",
    )


def look_at_transport() -> Findings:
    try:
        problem = get_transport().trouble()
    except Exception:
        logger.exception("The transport cannot be asked")
        problem = 'It cannot be asked; "manage.py check" may say why.'
    return {"transport": Finding(ok=not problem, problem=problem)}


LOOKS = {"database": look_at_database, "transport": look_at_transport}


def answer(
    request: HttpRequest, status: int, body: str, content_type: str
) -> HttpResponse:
    return HttpResponse(
        b"" if request.method == "HEAD" else body,
        status=status,
        content_type=content_type,
        headers={"Cache-Control": "no-store"},
    )
