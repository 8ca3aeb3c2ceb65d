"""The compose files: valid, hardened, distinct, without a secret."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from config.variables import VARIABLES

from project.containers.compose import BASE
from project.containers.compose import PRODUCTION
from project.containers.compose import PROJECT
from project.containers.compose import SERVER
from project.containers.compose import MissingVariable
from project.containers.compose import is_ours
from project.containers.compose import load
from project.containers.compose import services
from project.containers.compose import variables_in

PROFILES = "COMPOSE_PROFILES"  # its services are harmless
SET_BY_COMPOSE = {"COMPOSE_PROJECT_NAME"}
# What the images of others read.
OF_OTHERS = {"POSTGRES_DB", "POSTGRES_USER"}


@pytest.mark.parametrize("file", [BASE, PRODUCTION], ids=lambda f: f.name)
def test_a_file_is_valid(file: Path) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema",
         "--builtin-schema", "vendor.compose-spec", str(file)],
        capture_output=True, text=True,
    )  # fmt: skip

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("file", [BASE, PRODUCTION], ids=lambda f: f.name)
def test_every_variable_of_a_file_is_declared(file: Path) -> None:
    asked = variables_in(file) - SET_BY_COMPOSE - OF_OTHERS

    assert asked <= set(VARIABLES)


@pytest.mark.parametrize("file", [BASE, PRODUCTION], ids=lambda f: f.name)
def test_no_secret_stands_in_a_file(file: Path) -> None:
    held = {
        name: value
        for service in load(file)["services"].values()
        for name, value in service.get("environment", {}).items()
        if name in VARIABLES and VARIABLES[name].secret
    }

    # Each is taken from .env, the password in an address too.
    assert all(re.search(r"\$\{\w+[:}]", value) for value in held.values())
    assert "sig_" not in file.read_text()


def test_every_container_can_do_as_little_as_it_needs(
    fresh: Mapping[str, str],
) -> None:
    every = services({**fresh, **SERVER}, BASE, PRODUCTION)

    for name, service in every.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert re.fullmatch(r"(docker\.io/[\w/]+:\d[\d.]*|shop-site)",
                            service["image"]), name  # fmt: skip
    ours = {name for name in every if is_ours(every[name])}
    assert ours == {
        "web", "migrate", "cron", "cleanup", "qstash", "temporal-worker"
    }  # fmt: skip
    for name in ours:
        assert every[name]["read_only"] is True
        assert every[name]["tmpfs"] == ["/tmp"]
        assert every[name]["env_file"] == ".env"
        assert "cap_add" not in every[name]


def test_nothing_but_caddy_is_open_to_other_machines(
    fresh: Mapping[str, str],
) -> None:
    every = services({**fresh, **SERVER}, BASE, PRODUCTION)

    ports = {n: s["ports"] for n, s in every.items() if "ports" in s}
    assert ports == {
        "web": ["127.0.0.1:8000:8000"],
        "caddy": ["80:80", "443:443", "443:443/udp"],
        "temporal": ["127.0.0.1:7233:7233"],
        "temporal-ui": ["127.0.0.1:8080:8080"],
    }


def test_the_database_lives_in_the_parent_of_its_directory() -> None:
    assert services({"POSTGRES_PASSWORD": "x"}, BASE)["db"]["volumes"] == [
        "postgres-18:/var/lib/postgresql"
    ]
    assert set(load(BASE)["volumes"]) == {"postgres-18", "temporal"}


def test_everything_waits_for_the_migrations_and_they_for_the_database(
    fresh: Mapping[str, str],
) -> None:
    every = services(fresh, BASE)

    done = {"migrate": {"condition": "service_completed_successfully"}}
    healthy = {"db": {"condition": "service_healthy"}}
    assert every["migrate"]["depends_on"] == healthy
    for name in ("web", "cron", "cleanup", "qstash"):
        assert every[name]["depends_on"] == done, name


def test_a_laptop_has_the_embedded_server_and_a_server_has_not(
    fresh: Mapping[str, str],
) -> None:
    laptop = services(fresh, BASE)["web"]["environment"]
    server = services({**fresh, **SERVER}, BASE, PRODUCTION)

    assert fresh["COMPOSE_PROFILES"] == "qstash"
    assert laptop["QSTASH_URL"] == "http://qstash:8080"
    assert laptop["DJANGO_HOOKFLOW_DOMAIN"] == "http://web:8000"
    for name in ("web", "cron", "cleanup", "migrate", "qstash"):
        environment = server[name]["environment"]
        assert environment["QSTASH_URL"] == "https://qstash.upstash.io"
        assert environment["DJANGO_HOOKFLOW_DOMAIN"] == (
            "https://shop.example.com"
        )
        assert environment["DJANGO_SETTINGS_MODULE"] == (
            "config.settings.production"
        )


def test_the_tunnel_gives_the_service_an_address(
    fresh: Mapping[str, str],
) -> None:
    variables = {
        **fresh,
        "COMPOSE_PROFILES": "tunnel",
        "COMPOSE_QSTASH_URL": "https://qstash.upstash.io",
        "NGROK_AUTHTOKEN": "token",
        "NGROK_URL": "https://shop.ngrok-free.app",
    }

    every = services(variables, BASE)

    assert every["tunnel"]["command"] == [
        "http",
        "--url=https://shop.ngrok-free.app",
        "--log=stdout",
        "http://web:8000",
    ]
    assert every["tunnel"]["environment"] == {"NGROK_AUTHTOKEN": "token"}
    web = every["web"]["environment"]
    assert web["DJANGO_HOOKFLOW_DOMAIN"] == "https://shop.ngrok-free.app"
    assert web["QSTASH_URL"] == "https://qstash.upstash.io"


@pytest.mark.parametrize(
    "name",
    [
        "DJANGO_ALLOWED_HOSTS",
        "DJANGO_EMAIL_URL",
        "DJANGO_HOOKFLOW_DOMAIN",
        "PAYMENTS_URL",
        "POSTGRES_PASSWORD",
    ],
)
def test_a_server_does_not_start_without(
    name: str, fresh: Mapping[str, str]
) -> None:
    variables = {**fresh, **SERVER, name: ""}

    with pytest.raises(MissingVariable, match=f"^{name}: "):
        services(variables, BASE, PRODUCTION)


@pytest.mark.parametrize(
    "forgotten", [*(name for name in SERVER if name != PROFILES), None]
)
def test_a_fresh_file_that_lacks_a_line_for_the_server_starts_nothing(
    forgotten: str | None, fresh: Mapping[str, str]
) -> None:
    changed = {n: v for n, v in SERVER.items() if n != forgotten}

    refusal = refusal_of_migrate({**fresh, **changed})

    # Without the embedded server a fresh file has the QStash of a server.
    assert bool(refusal) == ({**fresh, **changed} != {**fresh, **SERVER})
    assert not refusal or str(forgotten) in refusal


def refusal_of_migrate(env_file: Mapping[str, str]) -> str:
    """Return what is said when the service that comes first does not start."""
    try:
        every = services(env_file, BASE, PRODUCTION)
    except MissingVariable as missing:
        return str(missing)
    checked = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=PROJECT,
        env={
            **env_file,
            **every["migrate"]["environment"],
            "DJANGO_ENV_FILE": os.devnull,
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
    )
    return checked.stderr if checked.returncode else ""
