"""The deployed site, and what an operator does to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from django_hookflow.tests.http.shop.shop import Shop
from django_hookflow.tests.http.stack import DEADLINE
from django_hookflow.tests.http.stack import HOST
from scripts.with_postgres import Postgres

from project.production.bank import Bank
from project.production.wire import Letter
from project.production.wire import bell

BY_TLS = {"X-Forwarded-Proto": "https"}
RUNS = "django_hookflow_workflowrun"
STEPS = "django_hookflow_stepexecution"


@dataclass
class Production(Shop):
    """gunicorn and QStash on a PostgreSQL, behind a proxy at `domain`."""

    postgres: Postgres = field(kw_only=True)
    bank: Bank = field(kw_only=True)
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        inherited = super().environment
        del inherited["DJANGO_DEBUG"]
        return inherited | {
            "DJANGO_SETTINGS_MODULE": "project.production.settings",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "DJANGO_ALLOWED_HOSTS": f"{HOST},shop.example.com",
            "DJANGO_CSRF_TRUSTED_ORIGINS": "https://shop.example.com",
            "DJANGO_EMAIL_URL": f"file:///{self.folder / 'mail'}",
            "DJANGO_ALLOW_LOOPBACK": "True",
            "TEST_STATIC_ROOT": str(self.folder / "static"),
            "DJANGO_HOOKFLOW_LEASE": "3",
            "PAYMENTS_URL": f"{self.domain}/sandbox",
            "BANK_URL": self.bank.url,
            "WEB_CONCURRENCY": "2",
            "PORT": str(self.site_port),
            **self.extra,
        }

    # Processes.

    def start_site(self) -> None:
        """As the container does it, on a port of the test's choice."""
        self.start(
            "site",
            "-m", "gunicorn", "config.wsgi",
            f"--bind={HOST}:{self.site_port}",
        )  # fmt: skip
        self.wait_for(self.is_up)

    def start_missing(self) -> None:
        super().start_missing()
        if "cron" not in self.processes:
            self.start("cron", "manage.py", "hookflow_sweep", "--every", "0.5")

    def sweep(self) -> None:
        """Sweep, unless a process called "cron" does."""
        if "cron" not in self.processes:
            super().sweep()

    def is_up(self) -> bool:
        """Return True if the site answers, and its database too."""
        try:
            return self.fetch("/livez").status_code == 200
        except httpx.TransportError:
            return False

    def terminate(self, name: str) -> int:
        """Send SIGTERM, as a deploy does; return how the process ended."""
        with self.told_to_stop(name):
            process = self.processes[name]
        return process.returncode

    @contextmanager
    def told_to_stop(self, name: str) -> Iterator[None]:
        """Run the block after SIGTERM, before the process ends."""
        process = self.processes[name]
        process.send_signal(signal.SIGTERM)
        yield
        process.wait(DEADLINE)
        del self.processes[name]

    def workers(self) -> list[int]:
        """Return the live gunicorn processes that answer requests."""
        parent = self.processes["site"].pid
        found = subprocess.run(
            ["ps", "-o", "pid=,stat=", "--ppid", str(parent)],
            capture_output=True, text=True,
        )  # fmt: skip
        lines = map(str.split, found.stdout.splitlines())
        return [int(pid) for pid, state in lines if state[0] != "Z"]

    def kill_a_worker(self, number: int = 0) -> None:
        """Send SIGKILL to a live one; another replaces it."""
        workers = self.wait_for(self.workers)
        os.kill(workers[number % len(workers)], signal.SIGKILL)

    @contextmanager
    def changed(self, **variables: str) -> Iterator[None]:
        """Processes that start meanwhile see these variables."""
        before = self.extra
        self.extra = before | variables
        try:
            yield
        finally:
            self.extra = before

    @contextmanager
    def unhurried(self, **variables: str) -> Iterator[None]:
        """Yield a site that ends all it does, however slow the machine.

        For tests without kills: a step is executed once, since no live run is
        taken over, and no worker that was told to stop is killed.
        """
        patience = f"--graceful-timeout={DEADLINE}"
        with self.changed(
            DJANGO_HOOKFLOW_LEASE="600",
            GUNICORN_CMD_ARGS=patience,
            **variables,
        ):
            self.terminate("site")
            self.start_site()
            yield
        if "site" in self.processes:
            self.terminate("site")

    # Requests.

    def fetch(
        self, path: str, method: str = "GET", **options: Any
    ) -> httpx.Response:
        """Ask the site as the proxy does."""
        options["headers"] = BY_TLS | dict(options.pop("headers", {}))
        return httpx.request(
            method, self.site + path, timeout=60, trust_env=False, **options
        )

    def request(self, path: str, body: Any = None) -> Any:
        method = "GET" if body is None else "POST"
        answer = self.fetch(path, method, json=body)
        answer.raise_for_status()
        return answer.json()

    def post(self, letter: Letter) -> httpx.Response:
        path = letter.url.removeprefix(self.domain)
        return self.fetch(
            path, "POST", content=letter.body, headers=letter.headers
        )

    def letter(self, run_id: str) -> Letter:
        """Return the genuine message for a run that it waits for now."""
        ((workflow_id, token),) = self.rows(
            f"SELECT workflow_id, wake_token FROM {RUNS} WHERE run_id = %s",
            run_id,
        )
        return Letter(
            url=f"{self.domain}/hookflow/workflow/{workflow_id}/",
            key=self.environment["QSTASH_CURRENT_SIGNING_KEY"],
            body=bell(run_id, workflow_id, token),
        )

    # Runs.

    def trigger(self, workflow_id: str, run_ids: Iterable[str]) -> None:
        self.shell(
            "from django_hookflow.workflows.registry import get_workflow\n"
            f"flow = get_workflow({workflow_id!r})\n"
            f"for run_id in {list(run_ids)!r}: flow.trigger(run_id=run_id)"
        )

    def shell(self, code: str) -> str:
        done = self.run("shell", "--verbosity", "0", "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def settle(self) -> None:
        """Let every run move that can, also what another test left late."""
        self.wait_for(
            lambda: (
                not self.rows(
                    f"SELECT 1 FROM {RUNS} WHERE status = 'pending' "
                    "OR status = 'running' "
                    "OR status = 'waiting' AND wake_at < now()"
                )
            ),
            lambda: self.run("hookflow_sweep", "--now"),
        )

    def statuses(self, run_ids: Iterable[str]) -> dict[str, str]:
        return dict(
            self.rows(
                f"SELECT run_id, status FROM {RUNS} WHERE run_id = ANY(%s)",
                list(run_ids),
            )
        )

    def all_completed(self, run_ids: Iterable[str]) -> bool:
        run_ids = list(run_ids)
        return self.statuses(run_ids) == dict.fromkeys(run_ids, "completed")

    def wait_until_completed(self, run_ids: Iterable[str]) -> None:
        """Wait, with sweeps as by cron."""
        run_ids = list(run_ids)
        self.wait_for(lambda: self.all_completed(run_ids), self.sweep)

    def steps_of(self, run_id: str) -> list[str]:
        """Return what a run has recorded, in order."""
        return [
            step
            for (step,) in self.rows(
                f"SELECT step_id FROM {STEPS} s JOIN {RUNS} r "
                "ON r.id = s.workflow_run_id WHERE run_id = %s "
                "AND s.status = 'completed' ORDER BY position",
                run_id,
            )
        ]

    # What it says, and what it holds.

    def text(self, name: str = "site") -> str:
        path = self.folder / f"{name}.log"
        return path.read_text("utf-8") if path.exists() else ""

    def said_since(self, mark: int, name: str = "site") -> list[str]:
        return self.text(name)[mark:].splitlines()

    def wait_for_line(self, pattern: str, mark: int = 0) -> str:
        """Return the first line of the site's log that matches."""

        def found() -> str | None:
            lines = self.said_since(mark)
            return next((li for li in lines if re.search(pattern, li)), None)

        return self.wait_for(found)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with (
            psycopg.connect(self.database_url, autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor
