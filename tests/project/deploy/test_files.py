"""Each deploy file agrees with the code: variables, commands, addresses."""

from __future__ import annotations

import os
import re
import runpy
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from config.declaration import PRODUCTION
from config.variables import VARIABLES
from config.variables import needed_in
from django.test import Client

from .commands import check_manage
from .commands import manage_lines
from .hosts import DEPLOY
from .hosts import PROJECT
from .hosts import Host
from .hosts import hosts

sys.path.insert(0, str(PROJECT / "scripts"))
from deploy_env import values_for  # type: ignore[import-not-found]

GUNICORN = runpy.run_path(str(PROJECT / "gunicorn.conf.py"))
every_host = pytest.mark.parametrize("host", hosts(), ids=lambda h: h.name)
files = pytest.mark.parametrize(
    "path",
    [
        path
        for path in [*DEPLOY.rglob("*"), PROJECT / "Procfile"]
        if path.is_file() and "__pycache__" not in path.parts
    ],
    ids=lambda path: path.name,
)


def names_of(host: Host) -> set[str]:
    imported = set(values_for("shop.example.com")) if host.imported else set()
    return {*host.given, *host.asked, *imported}


@every_host
def test_no_variable_is_unknown(host: Host) -> None:
    unknown = names_of(host) - set(VARIABLES)

    assert unknown == set()


@every_host
def test_no_needed_variable_is_forgotten(host: Host) -> None:
    forgotten = set(needed_in(PRODUCTION)) - names_of(host)

    assert forgotten == set()


@every_host
def test_what_stands_in_a_file_is_no_secret(host: Host) -> None:
    secret = {name for name in host.given if VARIABLES[name].secret}

    assert secret == set()


@files
def test_nothing_in_a_file_looks_like_a_secret(path: Path) -> None:
    found = re.findall(
        r"sig_\w{8,}|eyJ\w{8,}|://[^/\s:]+:[^@\s/]+@|BEGIN [A-Z ]*KEY",
        path.read_text("utf-8"),
    )

    assert found == []


@every_host
def test_production_settings_are_chosen(host: Host) -> None:
    chosen = (
        host.given.get("DJANGO_SETTINGS_MODULE")
        or values_for("shop.example.com")["DJANGO_SETTINGS_MODULE"]
    )

    assert chosen == "config.settings.production"


@every_host
def test_each_command_is_one_the_project_has(host: Host) -> None:
    for command in host.commands:
        lines = manage_lines(command)

        if lines:
            check_manage(lines[0])
        else:
            assert command == "gunicorn config.wsgi"


def test_the_release_step_is_the_same_everywhere() -> None:
    steps = {
        command.removeprefix("python manage.py ")
        for host in hosts()
        for command in host.commands
        if "migrate" in command
    }

    assert steps == {"migrate --no-input"}


@pytest.mark.parametrize(
    "file", sorted(DEPLOY.rglob("Caddyfile")), ids=lambda f: f.parent.name
)
def test_a_proxy_gives_an_idle_connection_up_before_gunicorn(
    file: Path,
) -> None:
    """Otherwise a request into a closing connection is a 502."""
    text = file.read_text("utf-8")
    kept = re.search(r"^\t+keepalive (\d+)s$", text, re.MULTILINE)

    assert kept is not None
    assert int(kept[1]) < GUNICORN["keepalive"]


def test_gunicorn_keeps_an_idle_connection_longer_than_any_proxy() -> None:
    """Heroku's router keeps it for 90 s, Caddy by default for 120 s."""
    assert GUNICORN["keepalive"] > 120


@pytest.mark.slow
def test_gunicorn_takes_the_command_and_its_file() -> None:
    values = values_for("shop.example.com")
    filled = {n: v or secrets.token_urlsafe(40) for n, v in values.items()}

    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--check-config", "config.wsgi"],
        cwd=PROJECT,
        env=os.environ
        | filled
        | {
            "DJANGO_ENV_FILE": os.devnull,
            "DATABASE_URL": "postgres://shop@127.0.0.1/shop",
        },
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr


@every_host
def test_each_port_is_where_gunicorn_listens(host: Host) -> None:
    port = int(GUNICORN["bind"].rpartition(":")[2])

    assert host.ports <= {port}


@every_host
def test_each_probe_is_answered_for_a_foreign_host(
    host: Host, client: Client, db: None
) -> None:
    answers = {
        path: client.get(path, headers={"host": "10.0.0.7"}).status_code
        for path in host.probes
    }

    assert set(answers) <= {"/livez", "/readyz"}
    assert all(status == 200 for status in answers.values())


@every_host
def test_a_stopping_process_has_the_time_gunicorn_gives(host: Host) -> None:
    if host.grace is None:
        assert host.name == "cloudrun.yaml", "the host has its own limit"
        return

    assert host.grace >= GUNICORN["graceful_timeout"] + 5
