"""The claims of docs/deployment/compose.md and docs/tunnel.md."""

from __future__ import annotations

import re
import shlex

import pytest
from config.variables import VARIABLES
from django.core.management import get_commands

from project.containers.compose import BASE
from project.containers.compose import PRODUCTION
from project.containers.compose import PROJECT
from project.containers.compose import load

COMPOSE = PROJECT / "docs" / "deployment" / "compose.md"
TUNNEL = PROJECT / "docs" / "tunnel.md"
PAGES = [COMPOSE, TUNNEL]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}

SERVICES = {
    **load(BASE)["services"],
    "caddy": load(PRODUCTION)["services"]["caddy"],
}
# Commands of docker compose, and whether names of services follow.
WITH_SERVICES = {"exec": 1, "stop": None, "logs": None}
WITHOUT = {"build", "up", "ps", "down"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_name_services_and_commands_there_are(page: str) -> None:
    lines = re.findall(r"(?:\$ |`)(docker compose [^`\n]+)", TEXTS[page])

    assert lines
    for line in lines:
        words = [w for w in shlex.split(line)[2:] if not w.startswith("-")]
        verb, *rest = words
        assert verb in WITH_SERVICES.keys() | WITHOUT, line
        if verb in WITH_SERVICES:
            assert set(rest[: WITH_SERVICES[verb]]) <= set(SERVICES), line
        if "manage.py" in rest:
            asked = rest[rest.index("manage.py") + 1]
            assert asked in get_commands(), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_variables_are_declared(page: str) -> None:
    blocks = re.findall(r"^```ini\n(.*?)^```", TEXTS[page], re.S | re.M)
    named = re.findall(r"^(\w+)=", "\n".join(blocks), re.M)

    assert named
    assert set(named) <= set(VARIABLES)


# Services of profiles, which have pages of their own.
ELSEWHERE = {
    "qstash", "temporal", "temporal-ui", "temporal-worker", "tunnel",
}  # fmt: skip


def test_the_table_of_services_is_that_of_the_files() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*?) ?\|$", TEXTS[COMPOSE], re.M)
    described = {name: command.strip("`") for name, command in rows}
    commands = {
        name: " ".join(service.get("command", ["gunicorn", "config.wsgi"]))
        for name, service in SERVICES.items()
        if "build" in service and name not in ELSEWHERE
    }

    assert {k: v for k, v in described.items() if v} == {
        name: command.removeprefix("python ")
        for name, command in commands.items()
    }
    assert set(described) == set(SERVICES) - ELSEWHERE


def test_what_a_server_must_set_is_on_its_page() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", PRODUCTION.read_text()))
    blocks = re.findall(r"^```ini\n(.*?)^```", TEXTS[COMPOSE], re.S | re.M)

    assert asked
    assert asked <= set(re.findall(r"^(\w+)=", "\n".join(blocks), re.M))


def test_the_tunnel_says_first_that_it_is_not_needed() -> None:
    assert TEXTS[TUNNEL].startswith(
        "# The tunnel\n\nYou do not need one.\n`make dev` starts the embedded"
    )


def test_what_the_tunnel_says_is_what_its_page_shows() -> None:
    script = (PROJECT / "scripts" / "tunnel.py").read_text(encoding="utf-8")
    said = re.sub(r'"\s*f?"', "", script)

    for text in ("must be set in .env", "ngrok is not installed",
                 "ngrok has ended", "the embedded server"):  # fmt: skip
        assert text in said
        assert text in TEXTS[TUNNEL]


def test_the_way_back_undoes_each_line_of_the_way_there() -> None:
    there = TEXTS[TUNNEL].partition("## In containers")[2].partition("##")[0]
    back = TEXTS[TUNNEL].partition("## Back to the embedded server")[2]
    token = "NGROK_AUTHTOKEN"  # opens nothing by itself

    said = set(re.findall(r"^(\w+)=", there, re.MULTILINE))

    assert said - set(re.findall(r"`(\w+)[`=]", back)) == {token}
