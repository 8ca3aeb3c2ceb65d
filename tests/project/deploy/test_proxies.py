"""The client address, by the X-Forwarded-For that each host sends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from config.variables import VARIABLES
from core.throttling import client_address
from django.conf import LazySettings
from django.test import Client
from django.test import RequestFactory
from django_hookflow.testing.world import World

from .hosts import PROJECT
from .hosts import Host
from .hosts import hosts

DEPLOYMENT = PROJECT / "docs" / "deployment"

# What a site gets of a client who has invented an address; {edge} is one of
# the host's own, and need not be the same twice. Fly.io documents its own
# (fly.io/docs/networking/request-headers, 2026-11). Render and Railway do not
# say how theirs ends: look at the log of a throttled client of yours. Caddy
# and Traefik overwrite what the client sent.
SHAPES = {
    "fly.toml": "{invented}, {client}, {edge}",
    "render.yaml": "{invented}, {client}, {edge}",
    "railway.ts": "{invented}, {client}, {edge}",
    "Procfile": "{invented},{client}",
    "systemd": "{client}",
    "kubernetes": "{client}",
    "cloudrun.yaml": "{invented},{client}",
}
PAGES = {
    "fly.toml": "fly",
    "render.yaml": "render",
    "railway.ts": "railway",
    "Procfile": "heroku",
    "cloudrun.yaml": "serverless",
}

every_host = pytest.mark.parametrize("host", hosts(), ids=lambda h: h.name)


def proxies_of(host: Host) -> int:
    usual = VARIABLES["DJANGO_TRUSTED_PROXIES"].default
    return int(host.given.get("DJANGO_TRUSTED_PROXIES", str(usual)))


def page_of(host: Host) -> Path:
    return DEPLOYMENT / f"{PAGES.get(host.name, host.name)}.md"


def shape_on(page: Path) -> str:
    """Return the header that a page says to expect."""
    said = re.search(r"`X-Forwarded-For: ([^`]+)`", page.read_text("utf-8"))
    assert said is not None
    return said[1]


@every_host
def test_the_client_is_found_in_the_header_of_the_host(
    host: Host, settings: LazySettings
) -> None:
    settings.DJANGO_TRUSTED_PROXIES = proxies_of(host)
    header = SHAPES[host.name].format(
        invented="6.6.6.6", client="203.0.113.7", edge="198.51.100.1"
    )

    request = RequestFactory(headers={"X-Forwarded-For": header}).get("/")

    assert client_address(request) == "203.0.113.7"


@every_host
def test_clients_are_told_apart_whichever_edge_they_come_by(
    host: Host, settings: LazySettings, db: None, world: World
) -> None:
    settings.DJANGO_TRUSTED_PROXIES = proxies_of(host)
    settings.THROTTLES = {"login": "1/hour"}
    number = hosts().index(host)
    one, other = f"203.0.113.{number}", f"198.18.0.{number}"

    def log_in(client: str, edge: str) -> int:
        header = SHAPES[host.name].format(
            invented="6.6.6.6", client=client, edge=edge
        )
        return (
            Client(headers={"X-Forwarded-For": header})
            .post("/admin/login/")
            .status_code
        )

    assert log_in(one, "198.51.100.1") == 200
    assert log_in(one, "198.51.100.2") == 429
    assert log_in(other, "198.51.100.1") == 200


@every_host
def test_the_page_says_which_header_comes(host: Host) -> None:
    said = shape_on(page_of(host)).lower().replace(" ", "").split(",")
    known = re.findall(r"\{(\w+)\}", SHAPES[host.name])

    assert said == [name for name in known if name != "invented"]
    assert len(said) == proxies_of(host)


def test_the_table_has_the_number_of_each_host() -> None:
    text = (PROJECT / "docs" / "deployment.md").read_text("utf-8")
    section = text.partition("## Client addresses")[2].partition("\n## ")[0]
    rows = re.findall(
        r"^\| \[[^]]+\]\((deployment/\w+\.md)\) \| (\d) \|",
        section,
        re.MULTILINE,
    )

    known = {
        f"deployment/{page_of(host).name}": str(proxies_of(host))
        for host in hosts()
    }
    assert dict(rows) == known | {"deployment/compose.md": "1"}
