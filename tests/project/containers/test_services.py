"""The services of the compose files, run together.

No Docker is needed: each command is run here, with its service's variables.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django_hookflow.tests.http.stack import DIRECT
from django_hookflow.tests.http.stack import Request
from django_hookflow.tests.ports import free_ports
from scripts.with_postgres import FLAGS
from scripts.with_postgres import postgres

from project.containers.compose import BASE
from project.containers.compose import PRODUCTION
from project.containers.compose import PROJECT
from project.containers.compose import SERVER
from project.containers.compose import load
from project.containers.compose import services
from project.containers.machine import HOST
from project.containers.machine import Machine
from project.containers.machine import images_own

pytestmark = [pytest.mark.http, pytest.mark.slow]


def test_the_services_fulfil_an_order_together(
    fresh: Mapping[str, str], tmp_path: Path
) -> None:
    with machine(fresh, tmp_path, BASE) as laptop:
        laptop.run("migrate")
        for name in ("qstash", "web", "cron", "cleanup"):
            laptop.start(name)
        laptop.wait_for(lambda: laptop.answers("/livez"))
        subprocess.run(
            [sys.executable, "manage.py", "load_products"], check=True,
            env=laptop.environment("web"), cwd=PROJECT, capture_output=True,
        )  # fmt: skip

        order = place_order(laptop)
        laptop.wait_for(lambda: status_of(laptop, order) == "fulfilled")

        assert laptop.is_healthy("qstash", health_of("qstash"))
        assert set(map(laptop.is_running, laptop.running)) == {True}
        ended = {name: laptop.stop(name) for name in list(laptop.running)}
        assert ended == dict.fromkeys(ended, 0), laptop.logs()


def test_the_services_of_a_server_start_with_its_settings(
    fresh: Mapping[str, str], tmp_path: Path
) -> None:
    with machine({**fresh, **SERVER}, tmp_path, BASE, PRODUCTION) as server:
        server.run("migrate")
        for name in ("web", "cron", "cleanup"):
            server.start(name)
        server.wait_for(lambda: server.answers("/livez"))

        assert images_own(server.services["web"])
        assert set(map(server.is_running, server.running)) == {True}
        ended = {name: server.stop(name) for name in list(server.running)}
        assert ended == dict.fromkeys(ended, 0), server.logs()


@contextmanager
def machine(
    variables: Mapping[str, str], folder: Path, *files: Path
) -> Iterator[Machine]:
    """Yield the services on this machine, with the database they ask for."""
    names = ("web", "qstash", "db")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    flags = FLAGS.replace("-h ''", f"-h {HOST} -p {ports['db']}")
    with postgres(flags):
        server = f"postgres://postgres@{HOST}:{ports['db']}/postgres"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE ROLE site LOGIN SUPERUSER")
            connection.execute("CREATE DATABASE site OWNER site")
        made = Machine(services(variables, *files), variables, ports, folder)
        try:
            yield made
        finally:
            made.close()


def health_of(name: str) -> list[str]:
    return list(load(BASE)["services"][name]["healthcheck"]["test"])


def place_order(laptop: Machine) -> str:
    order = request(
        laptop,
        "/api/orders/",
        {
            "email": "ada@example.com",
            "card_number": "4242 4242 4242 4242",
            "lines": [{"sku": "MUG-01", "quantity": 1}],
        },
    )
    return str(order["id"])


def status_of(laptop: Machine, order: str) -> str:
    return str(request(laptop, f"/api/orders/{order}/")["status"])


def request(laptop: Machine, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    asked = Request(laptop.site + path, data, headers)
    with DIRECT.open(asked, timeout=60) as response:
        return json.load(response)
