"""The site and the embedded QStash server as processes, and their rows."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import TypeVar
from urllib.error import URLError
from urllib.request import ProxyHandler
from urllib.request import Request
from urllib.request import build_opener

import dj_database_url
from django.db.utils import ConnectionHandler

from django_hookflow.tests.http.brake.apps import FOLDER
from django_hookflow.tests.http.brake.workflows import LEDGER

PROJECT = Path(__file__).resolve().parents[3]
HOST = "127.0.0.1"
DEADLINE = 300  # seconds, for what should take a few

T = TypeVar("T")
Do = Callable[[], None]

# Without a proxy of the environment, which does not know our ports.
DIRECT = build_opener(ProxyHandler({}))


@dataclass
class Stack:
    """All processes of a test, in a folder and a database of their own."""

    folder: Path
    database_url: str
    site_port: int
    qstash_port: int
    domain: str = ""  # where QStash reaches the site; the site itself
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(
        default_factory=lambda: {
            "DJANGO_SECRET_KEY": secrets.token_urlsafe(40),
            "QSTASH_TOKEN": secrets.token_urlsafe(20),
            "QSTASH_CURRENT_SIGNING_KEY": f"sig_{secrets.token_hex(14)}",
            "QSTASH_NEXT_SIGNING_KEY": f"sig_{secrets.token_hex(14)}",
            "PAYMENTS_API_KEY": secrets.token_urlsafe(20),  # sample
            "PAYMENTS_WEBHOOK_SECRET": secrets.token_urlsafe(20),  # sample
        }
    )

    @property
    def site(self) -> str:
        return f"http://{HOST}:{self.site_port}"

    @property
    def qstash(self) -> str:
        return f"http://{HOST}:{self.qstash_port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{
                k: v for k, v in os.environ.items() if "proxy" not in k.lower()
            },
            **self.secrets,
            "DJANGO_SETTINGS_MODULE": "django_hookflow.tests.http.settings",
            "DJANGO_ENV_FILE": os.devnull,
            "DJANGO_DEBUG": "False",
            "DATABASE_URL": self.database_url,
            "QSTASH_URL": self.qstash,
            "DJANGO_HOOKFLOW_DOMAIN": self.domain or self.site,
            "PAYMENTS_URL": f"{self.site}/sandbox",  # sample
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            FOLDER: str(self.folder),
        }

    # Processes.

    def prepare(self) -> None:
        self.manage("migrate", "--no-input")
        self.write(LEDGER)

    def start_site(self, **variables: str) -> None:
        """Start the site with gunicorn: two workers of four threads."""
        self.start(
            "site",
            "-m", "gunicorn", "config.wsgi:application",
            f"--bind={HOST}:{self.site_port}",
            "--workers=2", "--worker-class=gthread", "--threads=4",
            "--graceful-timeout=1", **variables,
        )  # fmt: skip
        self.wait_for(self.is_up)

    def start_qstash(self, *options: str) -> None:
        self.start(
            "qstash", "manage.py", "qstash_server",
            f"--port={self.qstash_port}", *options,
        )  # fmt: skip
        self.wait_for(lambda: answers(self.qstash_port))

    def start_missing(self) -> None:
        if "qstash" not in self.processes:
            self.start_qstash()
        if "site" not in self.processes:
            self.start_site()

    def start(self, name: str, *command: str, **variables: str) -> None:
        """Start Python with these arguments; its output goes into a log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *command], cwd=PROJECT,
                env=self.environment | variables,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        """Tell a process to stop; return its exit status."""
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(timeout=60)

    def kill(self, name: str) -> None:
        """Kill a process and all that it started."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def manage(self, *arguments: str) -> None:
        self.tell(*arguments)

    def tell(self, *arguments: str) -> list[str]:
        """Run a command and return the lines of its output."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def run(
        self, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=PROJECT,
            env=self.environment | variables, capture_output=True, text=True,
        )  # fmt: skip

    def sweep(self) -> None:
        """Run the sweeper as cron does; it may fail."""
        self.run("hookflow_sweep")

    # The brake.

    def brake_at(self, *pieces: str) -> None:
        """Stop who executes the statement that has these, or its values."""
        # A second process may have written the last one late.
        (self.folder / "stands").unlink(missing_ok=True)
        # In one move: of an empty file, every statement is the one.
        written = self.folder / "at.new"
        written.write_text("\n".join(pieces), encoding="utf-8")
        written.rename(self.folder / "at")

    def wait_until_it_stands(self, meanwhile: Do = lambda: None) -> None:
        stands = self.folder / "stands"
        self.wait_for(stands.exists, meanwhile)
        stands.unlink()

    def release(self) -> None:
        (self.folder / "at").unlink()

    # Requests of customers and tests.

    def is_up(self) -> bool:
        with DIRECT.open(f"{self.site}/livez", timeout=60) as response:
            return bool(response.status == 200)

    def trigger_ledgers(self, run_ids: list[str]) -> None:
        self.manage(
            "shell", "-c",
            "from django_hookflow.tests.http.brake.workflows import ledger\n"
            f"for run_id in {run_ids!r}: ledger.trigger(run_id=run_id)",
        )  # fmt: skip

    def get(self, path: str) -> Any:
        return self.request(path)

    def request(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(self.site + path, data, headers)
        with DIRECT.open(request, timeout=60) as response:
            return json.load(response)

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self._cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def write(self, sql: str) -> None:
        with self._cursor() as cursor:
            cursor.execute(sql)

    def wait_for(
        self,
        fact: Callable[[], T | None],
        meanwhile: Do = lambda: None,
    ) -> T:
        """Wait for the first true value of `fact`; fail with the logs."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            with suppress(URLError, ConnectionError, TimeoutError):
                if value := fact():
                    return value
            meanwhile()
            time.sleep(0.1)
        raise AssertionError(f"It never came true.\n{self.logs()}")

    def log(self, name: str) -> list[str]:
        """Return the lines that a process wrote."""
        return (self.folder / f"{name}.log").read_text("utf-8").splitlines()

    def logs(self) -> str:
        return "\n".join(
            f"--- {log.name}\n{log.read_text(encoding='utf-8')[-5000:]}"
            for log in sorted(self.folder.glob("*.log"))
        )

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        config = dict(dj_database_url.parse(self.database_url))
        connection = ConnectionHandler({"default": config})["default"]
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()


def answers(port: int) -> bool:
    with socket.create_connection((HOST, port), timeout=1):
        return True
