from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django_hookflow.tests.http.stack import HOST
from django_hookflow.tests.ports import free_ports
from scripts.with_postgres import server

from project.production.bank import bank
from project.production.edge import edge
from project.production.stack import Production

# Nothing waits for the disk, since no machine loses its power here; but what
# was committed survives a server that is killed.
DURABLE = "-c fsync=off -c full_page_writes=off -c max_connections=200 -h ''"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.production)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def deployed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Production]:
    """Yield a site after a release: static files, tables, products."""
    folder = tmp_path_factory.mktemp("production")
    site_port, qstash_port, edge_port = free_ports(3)
    with (
        server(DURABLE) as postgres,
        bank() as opened,
        edge(edge_port, site_port),
    ):
        made = Production(
            folder,
            postgres.url,
            site_port,
            qstash_port,
            domain=f"http://{HOST}:{edge_port}",
            postgres=postgres,
            bank=opened,
        )
        made.manage("collectstatic", "--no-input", "--verbosity", "0")
        made.prepare()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def site(deployed: Production) -> Production:
    """Return the deployed site, with all processes started."""
    deployed.start_missing()
    return deployed


@pytest.fixture
def unrung(deployed: Production) -> Production:
    """Return the deployed site without QStash, so that only we deliver."""
    if "site" not in deployed.processes:
        deployed.start_site()
    if "qstash" in deployed.processes:
        deployed.kill("qstash")
    return deployed
