"""The scripts of `make`, run as make runs them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from contextlib import ExitStack
from contextlib import suppress
from pathlib import Path

import pytest
from config.environment import BASE_DIR as PROJECT
from django_hookflow.tests.ports import free_port

SECRETS = {
    "DJANGO_SECRET_KEY",
    "QSTASH_TOKEN",
    "QSTASH_CURRENT_SIGNING_KEY",
    "QSTASH_NEXT_SIGNING_KEY",
    "PAYMENTS_API_KEY",
    "PAYMENTS_WEBHOOK_SECRET",
    "POSTGRES_PASSWORD",
}
# The variables that the manage.py here prints.
TOLD = ["QSTASH_URL", "DJANGO_HOOKFLOW_DOMAIN", "PAYMENTS_URL"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with scripts and a recording manage.py."""
    shutil.copytree(
        PROJECT / "scripts",
        tmp_path / "scripts",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(PROJECT / ".env.example", tmp_path)
    (tmp_path / "manage.py").write_text(
        "import os, sys\n"
        "with open('calls', 'a') as calls: print(sys.argv[1], file=calls)\n"
        "print('serving', *sys.argv[1:])\n"
        f"for name in {TOLD}:\n"
        "    print(name, os.environ.get(name))\n"
    )
    return tmp_path


def test_the_first_setup_writes_every_secret_for_the_owner_only(
    project: Path,
) -> None:
    run = script(project, "setup_env.py")

    written = values(project / ".env")
    assert run.stdout == "Wrote .env with fresh secrets; git ignores it.\n"
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600
    assert {name for name in SECRETS if len(written[name]) >= 32} == SECRETS
    assert len({written[name] for name in SECRETS}) == len(SECRETS)


def test_a_second_setup_leaves_the_file_alone(project: Path) -> None:
    (project / ".env").write_text("DJANGO_SECRET_KEY=mine\n")

    run = script(project, "setup_env.py")

    assert run.stdout == ""
    assert (project / ".env").read_text() == "DJANGO_SECRET_KEY=mine\n"


def test_two_projects_share_no_secret(project: Path) -> None:
    script(project, "setup_env.py")
    first = values(project / ".env")
    (project / ".env").unlink()

    script(project, "setup_env.py")

    second = values(project / ".env")
    assert not any(first[name] == second[name] for name in SECRETS)


def test_serving_says_where_and_points_everything_at_the_chosen_port(
    project: Path,
) -> None:
    port = free_port()

    run = script(project, "dev.py", PORT=str(port))

    lines = run.stdout.splitlines()
    qstash = next(line.split()[1] for line in lines if "embedded" in line)
    assert f"  Site      http://127.0.0.1:{port}/" in lines
    assert f"serving runserver 127.0.0.1:{port}" in lines
    assert told(run.stdout) == {
        "QSTASH_URL": qstash,
        "DJANGO_HOOKFLOW_DOMAIN": f"http://127.0.0.1:{port}",
        "PAYMENTS_URL": f"http://127.0.0.1:{port}/sandbox",
    }


def test_addresses_of_other_machines_stay_as_they_are(project: Path) -> None:
    (project / ".env").write_text(
        "QSTASH_URL=https://qstash.example\n"
        "DJANGO_HOOKFLOW_DOMAIN=https://tunnel.example\n"
    )
    port = free_port()

    run = script(project, "dev.py", PORT=str(port))

    lines = run.stdout.splitlines()
    assert "  QStash    https://qstash.example" in lines
    assert told(run.stdout) == {
        "QSTASH_URL": "None",
        "DJANGO_HOOKFLOW_DOMAIN": "None",
        "PAYMENTS_URL": f"http://127.0.0.1:{port}/sandbox",
    }


def test_the_embedded_server_gets_the_schedules_of_a_deployed_site(
    project: Path,
) -> None:
    script(project, "dev.py", PORT=str(free_port()))

    calls = project / "calls"
    deadline = time.monotonic() + 60
    while len(calls.read_text().split()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)

    assert {*calls.read_text().split()} == {"hookflow_schedule", "runserver"}


def test_a_qstash_elsewhere_keeps_the_schedules_it_has(project: Path) -> None:
    (project / ".env").write_text("QSTASH_URL=https://qstash.example\n")

    script(project, "dev.py", PORT=str(free_port()))

    assert (project / "calls").read_text() == "runserver\n"


def test_a_port_that_is_taken_is_refused_with_a_sentence(
    project: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        run = script(project, "dev.py", PORT=str(port))

    assert run.returncode == 1
    assert run.stderr == cannot_be_used(str(port))


@pytest.mark.parametrize("port", ["65536", "80000", "-1", "eighty"])
def test_what_is_no_port_is_refused_with_a_sentence(
    project: Path, port: str
) -> None:
    run = script(project, "dev.py", PORT=port)

    assert run.returncode == 1
    assert run.stderr == cannot_be_used(port)


def test_a_site_that_is_not_at_its_usual_port_says_why(project: Path) -> None:
    with ExitStack() as held:
        with suppress(OSError):  # another process holds it as well
            held.enter_context(socket.create_server(("127.0.0.1", 8000)))

        run = script(project, "dev.py")

    assert re.search(r"^  \w+  .*/ \(8000 is taken\)$", run.stdout, re.M)


def test_a_taken_port_of_the_embedded_server_is_replaced(
    project: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        run = script(project, "dev.py", PORT=str(free_port()), QSTASH_URL=url)

    assert "(embedded)" in run.stdout
    assert f"QSTASH_URL {url}\n" not in run.stdout


def test_a_demo_that_is_stopped_says_so(project: Path) -> None:
    (project / "manage.py").write_text(
        "import os, signal\nos.kill(os.getppid(), signal.SIGINT)\n"
    )

    run = script(project, "demo.py")

    assert run.returncode == 130
    assert run.stdout == "Stopped.\n"
    assert run.stderr == ""


def test_a_demo_that_fails_shows_the_log_and_a_sentence(project: Path) -> None:
    (project / "manage.py").write_text(
        "import sys\nsys.exit('the reason for it')\n"
    )

    run = script(project, "demo.py")

    assert run.returncode == 1
    assert run.stderr == (
        'the reason for it\n\nThe demo failed. "manage.py migrate" did not '
        "work.\n"
    )


def script(
    project: Path, name: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run one of the project's scripts with these variables and no others."""
    return subprocess.run(
        [sys.executable, f"scripts/{name}"],
        cwd=project,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        | variables,
        capture_output=True,
        text=True,
    )


def cannot_be_used(port: str) -> str:
    return (
        f"Port {port} cannot be used: give a number that no other program "
        "listens at, or leave PORT out to get a free one.\n"
    )


def told(screen: str) -> dict[str, str]:
    """Return what the manage.py of these tests prints of its variables."""
    pairs = [line.partition(" ") for line in screen.splitlines()]
    return {name: value for name, _, value in pairs if name in TOLD}


def values(path: Path) -> dict[str, str]:
    """Return the variables a .env file sets."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line[:1].isalpha())
    return {name: value for name, _, value in pairs}
