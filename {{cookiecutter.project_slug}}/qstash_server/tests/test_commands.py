"""`qstash_server` and `runserver` as real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from threading import Thread

import httpx
import pytest
from django.core.management import CommandError
from django.core.management import call_command

from django_hookflow.tests.ports import free_port
from qstash_server.management.commands import qstash_server as command
from qstash_server.tests.helpers import DEADLINE
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import until

ROOT = Path(__file__).resolve().parent.parent.parent
TOKEN = "token-of-the-tests"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Process:
    """A command that runs, and what it has printed so far."""

    popen: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.append(line.rstrip())

    def wait_for_line(self, text: str) -> str:
        def found() -> list[str]:
            assert self.popen.poll() is None or text in str(self.lines), (
                self.lines
            )
            return [line for line in self.lines if text in line]

        return until(found)[0]

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait; the exit status."""
        self.popen.send_signal(number)
        status = self.popen.wait(DEADLINE)
        self._reader.join()
        assert self.popen.stdout is not None
        self.popen.stdout.close()
        return status


Run = Callable[..., Process]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A project of its own: SQLite in a file, migrated."""
    variables = os.environ | {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "qstash_server.tests.settings",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT),
    }
    manage(variables, "migrate", "--verbosity=0")
    return variables


def manage(
    variables: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "django", *arguments],
        env=variables,
        text=True,
        capture_output=True,
        timeout=60,
    )


@pytest.fixture
def run(environment: dict[str, str]) -> Iterator[Run]:
    processes = []

    def start(*arguments: str, **variables: str) -> Process:
        process = Process(
            subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "django", *arguments],
                env=environment | variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.popen.poll() is None:
            process.end(signal.SIGKILL)


def url_of(process: Process) -> str:
    line = process.wait_for_line("The embedded QStash server listens at")
    return line.partition(" at ")[2].split(" ")[0].rstrip(".")


def publish(url: str, destination: str, **headers: str) -> str:
    answer = httpx.post(
        f"{url}/v2/publish/{destination}", headers=AUTHORIZED | headers
    )
    return str(answer.raise_for_status().json()["messageId"])


@pytest.mark.http
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_serves_until_it_is_told_to_stop(
    run: Run, destination: Destination, number: signal.Signals
) -> None:
    process = run("qstash_server", "--port=0")

    publish(url_of(process), destination.url)

    destination.wait_for(1)
    assert process.end(number) == 0
    assert process.lines[-1] == (
        "Stopped; what is waiting stays in the database."
    )


@pytest.mark.http
def test_time_scale_makes_a_day_pass_at_once(
    run: Run, destination: Destination
) -> None:
    process = run("qstash_server", "--port=0", "--time-scale=864000")

    publish(url_of(process), destination.url, **{"Upstash-Delay": "1d"})

    destination.wait_for(1)
    assert process.end(signal.SIGINT) == 0


@pytest.mark.http
def test_killed_in_the_middle_nothing_is_lost(
    run: Run, destination: Destination
) -> None:
    process = run("qstash_server", "--port=0")
    url = url_of(process)
    destination.gate.clear()
    in_flight = publish(url, destination.url)
    destination.wait_for(1)
    due_later = publish(url, destination.url, **{"Upstash-Delay": "2s"})
    process.end(signal.SIGKILL)
    destination.gate.set()

    again = run("qstash_server", "--port=0")

    destination.wait_for(3)
    ids = [one.headers["upstash-message-id"] for one in destination.received]
    assert sorted(ids) == sorted([in_flight, in_flight, due_later])
    again.end(signal.SIGINT)


@pytest.mark.http
def test_stopped_in_the_middle_the_message_is_given_back(
    run: Run, destination: Destination
) -> None:
    process = run("qstash_server", "--port=0")
    destination.gate.clear()
    message_id = publish(url_of(process), destination.url)
    destination.wait_for(1)

    assert process.end(signal.SIGINT) == 0

    destination.gate.set()
    again = run("qstash_server", "--port=0")
    _, second = destination.wait_for(2)
    assert second.headers["upstash-message-id"] == message_id
    assert second.headers["upstash-retried"] == "0"
    again.end(signal.SIGINT)


@pytest.mark.http
def test_port_is_that_of_the_url_or_8080(
    environment: dict[str, str],
) -> None:
    def default(url: str) -> str:
        variables = environment | {"QSTASH_URL": url}
        shown = manage(variables, "qstash_server", "--help").stdout
        return shown.partition("port (default: ")[2][:4]

    assert default("http://127.0.0.1:9999") == "9999"
    assert default("https://qstash.upstash.io") == "8080"


@pytest.mark.http
def test_command_tells_how_a_backlog_drains(
    run: Run, destination: Destination
) -> None:
    process = run("qstash_server", "--port=0")
    url = url_of(process)
    items = [{"destination": destination.url}] * 300

    httpx.post(f"{url}/v2/batch", json=items, headers=AUTHORIZED, timeout=60)

    process.wait_for_line("attempts in a second,")
    process.wait_for_line("The backlog has been delivered.")
    assert process.end(signal.SIGTERM) == 0


@pytest.mark.http
def test_command_says_what_to_do_when_it_cannot_start(
    environment: dict[str, str], tmp_path: Path
) -> None:
    empty = environment | {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    }
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        on_a_taken_port = manage(
            environment, "qstash_server", f"--port={port}"
        )
    without_tables = manage(empty, "qstash_server", "--port=0")
    without_workers = manage(environment, "qstash_server", "--workers=0")
    with_public_keys = manage(
        environment | {"QSTASH_TOKEN_OF_TESTS": "public"},
        "qstash_server",
        "--port=0",
    )

    assert on_a_taken_port.stderr == (
        f"CommandError: Cannot listen on 127.0.0.1:{port}: Address already"
        " in use. Choose another --port, or stop what listens there.\n"
    )
    assert without_tables.stderr == (
        "CommandError: The database has no tables for the server: no such"
        ' table: qstash_server_signingkeys. Run "manage.py migrate"'
        " first.\n"
    )
    assert without_workers.stderr == (
        "CommandError: --workers and --time-scale must be positive.\n"
    )
    assert with_public_keys.stderr.startswith(
        "CommandError: QSTASH_TOKEN is one of Upstash's public development"
        " values, so anyone can use it, and DEBUG is off."
    )


@pytest.mark.http
@pytest.mark.parametrize("reload", [(), ("--noreload",)])
def test_runserver_serves_the_site_and_the_messages(
    run: Run, destination: Destination, reload: tuple[str, ...]
) -> None:
    site, qstash = free_port(), free_port()

    process = run(
        "runserver",
        f"127.0.0.1:{site}",
        *reload,
        QSTASH_URL=f"http://127.0.0.1:{qstash}",
    )

    url = url_of(process)
    assert url == f"http://127.0.0.1:{qstash}"
    publish(url, destination.url)
    destination.wait_for(1)
    process.wait_for_line("Quit the server with CONTROL-C")
    page = until(lambda: get(f"http://127.0.0.1:{site}/"))
    assert page == "the site"
    assert process.end(signal.SIGINT) == 0
    assert get(url) == get(f"http://127.0.0.1:{site}/") == ""
    listening = [line for line in process.lines if "listens at" in line]
    assert len(listening) == 1


@pytest.mark.http
@pytest.mark.parametrize("address", ["https://qstash.upstash.io", ""])
def test_runserver_leaves_other_servers_alone(run: Run, address: str) -> None:
    process = run(
        "runserver",
        f"127.0.0.1:{free_port()}",
        "--noreload",
        QSTASH_URL=address,
    )

    process.wait_for_line("Quit the server with CONTROL-C")
    assert process.end(signal.SIGINT) == 0
    assert "embedded" not in "".join(process.lines)


@pytest.mark.http
def test_runserver_uses_a_server_that_already_runs(run: Run) -> None:
    port = free_port()
    first = run("qstash_server", f"--port={port}")
    url_of(first)

    process = run(
        "runserver",
        f"127.0.0.1:{free_port()}",
        "--noreload",
        QSTASH_URL=f"http://localhost:{port}",
    )

    process.wait_for_line(f"Something else serves http://localhost:{port}.")
    process.wait_for_line("Quit the server with CONTROL-C")
    assert process.end(signal.SIGINT) == 0
    assert first.end(signal.SIGINT) == 0


@pytest.mark.http
def test_runserver_goes_on_without_a_server_that_cannot_start(
    run: Run,
) -> None:
    process = run(
        "runserver",
        f"127.0.0.1:{free_port()}",
        "--noreload",
        QSTASH_URL=f"http://127.0.0.1:{free_port()}",
        QSTASH_TOKEN_OF_TESTS="public",
    )

    process.wait_for_line(
        "The embedded QStash server did not start: QSTASH_TOKEN is one of"
    )
    process.wait_for_line("Quit the server with CONTROL-C")
    assert process.end(signal.SIGINT) == 0


def get(url: str) -> str:
    try:
        return httpx.get(url).text
    except httpx.TransportError:
        return ""


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("--port=99999", "--port must be between 0 and 65535."),
        ("--port=-1", "--port must be between 0 and 65535."),
        ("--time-scale=inf", "--workers and --time-scale must be positive."),
        ("--time-scale=nan", "--workers and --time-scale must be positive."),
    ],
)
def test_option_that_no_server_has_is_refused(
    option: str, complaint: str
) -> None:
    with pytest.raises(CommandError, match=f"^{complaint}$"):
        call_command("qstash_server", option)


@pytest.mark.parametrize(
    ("variables", "workers"),
    [
        ({}, 8),
        ({"WEB_CONCURRENCY": "", "WEB_THREADS": ""}, 8),
        ({"WEB_CONCURRENCY": "4", "WEB_THREADS": "4"}, 8),
        ({"WEB_CONCURRENCY": "1", "WEB_THREADS": "1"}, 1),
        ({"WEB_CONCURRENCY": "16", "WEB_THREADS": "16"}, 32),
        ({"WEB_CONCURRENCY": "many"}, 32),
    ],
)
def test_deliveries_leave_half_of_the_threads_of_the_site(
    variables: dict[str, str], workers: int
) -> None:
    assert command.default_workers(variables) == workers
