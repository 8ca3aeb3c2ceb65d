"""The steps of docs/deployment.md, taken one after the other, for real."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request

import pytest
from django_hookflow.tests.http.stack import DIRECT
from django_hookflow.tests.http.stack import HOST
from django_hookflow.tests.http.stack import answers
from django_hookflow.tests.ports import free_ports
from scripts.with_postgres import server

from .commands import Command
from .commands import commands_of
from .hosts import PROJECT

PAGE = PROJECT / "docs/deployment.md"
FILE = Path("var/production.env")
PATIENCE = 120  # seconds, for what takes a few

pytestmark = [pytest.mark.http, pytest.mark.slow]


@dataclass
class Reader:
    """A person with a fresh project who follows the page."""

    project: Path
    database_url: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ports: list[int] = field(default_factory=lambda: free_ports(2))

    @property
    def site(self) -> str:
        return f"http://{HOST}:{self.ports[0]}"

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that a host sets for each process."""
        return {
            **{
                name: value
                for name, value in os.environ.items()
                if "proxy" not in name.lower() and name != "DATABASE_URL"
            },
            "DJANGO_SETTINGS_MODULE": "config.settings.production",
            "DJANGO_ENV_FILE": str(self.project / FILE),
            "PORT": str(self.ports[0]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SUPERUSER_PASSWORD": secrets.token_urlsafe(20),
        }

    def run(self, command: Command) -> str:
        """Return the output of a command of the page, which may not fail."""
        words = [sys.executable, *command.words[1:]]
        if "createsuperuser" in words:  # it would ask
            words += ["--no-input", "--username=ada", "--email=ada@a.example"]
        done = subprocess.run(
            words,
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command.text}\n{done.stderr}"
        return done.stdout

    def fill_in(self) -> None:
        """A database, this machine's addresses, and fresh four values."""
        path = self.project / FILE
        lines = path.read_text("utf-8").splitlines()
        written = dict(line.lstrip("#").split("=", 1) for line in lines)
        key = f"sig_{secrets.token_hex(14)}"
        values = written | {
            "DATABASE_URL": self.database_url,
            "QSTASH_URL": f"http://{HOST}:{self.ports[1]}",
            "QSTASH_TOKEN": secrets.token_urlsafe(20),
            "QSTASH_CURRENT_SIGNING_KEY": key,
            "QSTASH_NEXT_SIGNING_KEY": key[::-1],
            "DJANGO_ALLOWED_HOSTS": HOST,
            "DJANGO_HOOKFLOW_DOMAIN": self.site,
            "PAYMENTS_URL": f"{self.site}/sandbox",
            "DJANGO_ALLOW_LOOPBACK": "True",
            "DJANGO_SECURE_SSL_REDIRECT": "False",  # no TLS on loopback
        }
        text = "".join(f"{name}={value}\n" for name, value in values.items())
        path.write_text(text, "utf-8")

    def start_all(self) -> None:
        self.start("manage.py", "qstash_server", f"--port={self.ports[1]}")
        self.start("-m", "gunicorn", "config.wsgi")
        self.wait_for(lambda: answers(self.ports[1]))
        self.wait_for(lambda: answers(self.ports[0]))

    def stop_all(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self.processes.clear()

    def start(self, *words: str) -> None:
        with (self.project / "log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, *words],
                    cwd=self.project,
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                )
            )

    def ask(self, path: str, body: bytes | None = None) -> Any:
        headers = {"Content-Type": "application/json"}
        request = Request(self.site + path, body, headers)
        with DIRECT.open(request, timeout=30) as response:
            return json.load(response)

    def place_order(self) -> str:
        """Step 8; the order's id."""
        [_, _, body, url] = step("curl ").words
        path = url.removeprefix("https://shop.example.com")
        return str(self.ask(path, body.encode())["id"])

    def settle(self) -> None:
        settle = step("settle_payments")
        self.wait_for(lambda: "Notified of 1" in self.run(settle))

    def waits(self, order_id: str) -> bool:
        order = self.ask(f"/api/orders/{order_id}/")
        return bool(order["run"]["status"] == "waiting")

    def fulfilled(self, order_id: str) -> Any:
        """Return the order, when it is done."""
        order = self.ask(f"/api/orders/{order_id}/")
        return order if order["run"]["status"] == "completed" else None

    def wait_for(self, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(URLError, ConnectionError):
                if found := look():
                    return found
            time.sleep(0.1)
        log = (self.project / "log").read_text("utf-8", "replace")
        raise AssertionError(f"It did not happen.\n{log[-4000:]}")


STEPS = {command.text: command for command in commands_of(PAGE)}


def step(words: str) -> Command:
    """Return the one command of the page with these words in it."""
    [text] = [text for text in STEPS if words in text]
    return STEPS[text]


def code(words: str) -> Command:
    """Return a command that the page has in a sentence."""
    assert f"`{words}`" in PAGE.read_text("utf-8")
    return Command(words, account=False)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Return a person who has done steps 3 to 7."""
    project = tmp_path_factory.mktemp("owner") / "shop"
    leave = shutil.ignore_patterns(
        ".*", "tests", "__pycache__", "var", "staticfiles", "*.sqlite3*"
    )
    shutil.copytree(PROJECT, project, ignore=leave)
    with server() as postgres:
        made = Reader(project, postgres.url)

        # 3 and 4: the variables.
        made.run(step("scripts/deploy_env.py"))
        made.fill_in()
        # 5: the release step, and the site. A host builds the files before.
        made.run(Command("python manage.py collectstatic --no-input", False))
        made.run(code("python manage.py migrate --no-input"))
        assert code("gunicorn config.wsgi")
        made.start_all()
        # 6 and 7: products, an account, the schedules.
        assert "Added 5 products" in made.run(step("load_products"))
        made.run(step("createsuperuser"))
        made.run(step("manage.py hookflow_schedule"))
        try:
            yield made
        finally:
            made.stop_all()


def test_the_steps_end_with_an_order_fulfilled(reader: Reader) -> None:
    order = reader.place_order()
    reader.settle()

    ended = reader.wait_for(lambda: reader.fulfilled(order))

    said = re.search(
        r"A run that waits once takes (\d+) messages", PAGE.read_text("utf-8")
    )
    assert said is not None
    assert ended["run"]["messages"] == int(said[1])


def test_an_order_under_way_survives_a_move_to_another_qstash(
    reader: Reader,
) -> None:
    order = reader.place_order()
    reader.wait_for(lambda: reader.waits(order))

    reader.stop_all()
    reader.fill_in()
    reader.start_all()
    reader.run(step("manage.py hookflow_schedule"))
    reader.run(step("manage.py hookflow_sweep"))
    reader.settle()

    assert reader.wait_for(lambda: reader.fulfilled(order))
