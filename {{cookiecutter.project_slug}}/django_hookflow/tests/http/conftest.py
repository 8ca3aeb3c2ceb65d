from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from pytest_django import DjangoDbBlocker

from django_hookflow.tests.http.stack import Stack
from django_hookflow.tests.ports import free_ports


@pytest.fixture
def kind() -> type[Stack]:
    """Return the class of the fixture `stack`."""
    return Stack


@pytest.fixture
def stack(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker, kind: type[Stack]
) -> Iterator[Stack]:
    """Yield a stack with a migrated database of its own; nothing runs yet."""
    site_port, qstash_port = free_ports(2)
    with database(tmp_path) as url, django_db_blocker.unblock():
        made = kind(tmp_path, url, site_port, qstash_port)
        made.prepare()
        try:
            yield made
        finally:
            made.stop()


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """Make an empty database beside that of DATABASE_URL, or a SQLite file."""
    server = os.environ.get("DATABASE_URL", "sqlite:")
    if server.startswith("sqlite:"):
        yield f"sqlite:///{folder / 'db.sqlite3'}"
        return
    name = f"hookflow_http_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield f"{server.rpartition('/')[0]}/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
