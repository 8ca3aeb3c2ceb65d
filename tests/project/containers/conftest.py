"""Shared by the tests of the containers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from project.containers.compose import PROJECT
from project.containers.machine import values_of


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return a .env as `make .env` writes it."""
    folder = tmp_path_factory.mktemp("project")
    for name in (".env.example", "scripts/setup_env.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((PROJECT / name).read_bytes())
    subprocess.run([sys.executable, folder / "scripts/setup_env.py"],
                   check=True, capture_output=True)  # fmt: skip
    return values_of(folder / ".env") | {"COMPOSE_PROJECT_NAME": "shop"}
