"""The services of compose.yaml as processes of this machine.

Each has the command and the environment of its service; only the names of
other services become addresses here, and a port one that is free.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import TypeVar
from urllib.error import URLError

from django_hookflow.tests.http.stack import DIRECT

from project.containers.compose import PROJECT
from project.containers.compose import Services

HOST = "127.0.0.1"
DEADLINE = 120  # seconds, for what should take a few

T = TypeVar("T")


@dataclass
class Machine:
    services: Services
    env_file: Mapping[str, str]
    ports: Mapping[str, int]  # by the service that listens there
    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def site(self) -> str:
        return f"http://{HOST}:{self.ports['web']}"

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of the container: of ours only PATH."""
        given = self.services[name].get("environment", {})
        translated = {k: self.here(str(v)) for k, v in given.items()}
        return {
            **self.env_file,
            **translated,
            "PORT": str(self.ports["web"]),
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DJANGO_ENV_FILE": os.devnull,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def here(self, text: str) -> str:
        """Return `text` with the addresses of services on this machine."""
        for name, port in self.ports.items():
            for inside in (8000, 8080, 5432):
                text = text.replace(
                    f"{name}:{inside}", f"{HOST}:{self.ports[name]}"
                )
            if name == "qstash" and text == "8080":
                return str(port)
        return HOST if text == "0.0.0.0" else text

    def command(self, name: str) -> list[str]:
        """Return the service's command; without one it is the image's CMD."""
        words = self.services[name].get("command", ["gunicorn", "config.wsgi"])
        program, *rest = map(self.here, words)
        if program == "python":
            return [sys.executable, *rest]
        options = ["--bind", f"{HOST}:{self.ports['web']}"]
        return [sys.executable, "-m", program, *rest, *options]

    def run(self, name: str) -> str:
        """Return what a service prints that runs once."""
        done = subprocess.run(
            self.command(name), env=self.environment(name), cwd=PROJECT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self.command(name), env=self.environment(name), cwd=PROJECT,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def is_running(self, name: str) -> bool:
        return self.running[name].poll() is None

    def is_healthy(self, name: str, test: list[str]) -> bool:
        """Run a health check as Docker does."""
        _, program, *rest = map(self.here, test)
        assert program == "python"
        code = [self._in_a_text(word) for word in rest]
        done = subprocess.run(
            [sys.executable, *code], env=self.environment(name),
            capture_output=True,
        )  # fmt: skip
        return done.returncode == 0

    def _in_a_text(self, code: str) -> str:
        return code.replace("8080", str(self.ports["qstash"]))

    def stop(self, name: str) -> int:
        """SIGTERM, as `docker compose stop`; the exit status."""
        process = self.running.pop(name)
        process.terminate()
        return process.wait(DEADLINE)

    def close(self) -> None:
        for process in self.running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def answers(self, path: str) -> bool:
        with DIRECT.open(self.site + path, timeout=30) as response:
            return bool(response.status == 200)

    def wait_for(self, fact: Callable[[], T | None]) -> T:
        """Return the first true value of `fact`; fail with the logs."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            with suppress(URLError, ConnectionError, TimeoutError):
                if value := fact():
                    return value
            time.sleep(0.1)
        raise AssertionError(f"It never came true.\n{self.logs()}")

    def logs(self) -> str:
        return "\n".join(
            f"--- {log.name}\n{log.read_text(encoding='utf-8')[-5000:]}"
            for log in sorted(self.folder.glob("*.log"))
        )


def values_of(env: Path) -> dict[str, str]:
    """Return the variables a .env file sets."""
    pairs = (
        line.partition("=")
        for line in env.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
    return {name: value for name, equals, value in pairs if equals}


def images_own(service: Mapping[str, Any]) -> bool:
    """Return True if the image's own health check and command hold for it."""
    return "healthcheck" not in service
