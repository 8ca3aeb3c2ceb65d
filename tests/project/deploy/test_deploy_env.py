"""scripts/deploy_env.py, run as its reader runs it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from config.declaration import PRODUCTION
from config.variables import VARIABLES
from config.variables import needed_in

from .hosts import PROJECT

FILE = Path("var", "production.env")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("config", "orders", "scripts", "temporal_app"):
        shutil.copytree(
            PROJECT / name,
            tmp_path / name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/deploy_env.py", *arguments],
        cwd=project,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )


def values(project: Path) -> dict[str, str]:
    lines = (project / FILE).read_text("utf-8").splitlines()
    return dict(line.lstrip("#").split("=", 1) for line in lines)


def test_it_writes_each_needed_variable_for_its_owner_only(
    project: Path,
) -> None:
    done = run(project, "shop.example.com")

    written = values(project)
    assert done.returncode == 0, done.stderr
    assert set(needed_in(PRODUCTION)) <= set(written) <= set(VARIABLES)
    assert stat.S_IMODE((project / FILE).stat().st_mode) == 0o600
    assert written["DJANGO_ALLOWED_HOSTS"] == "shop.example.com"
    assert written["DJANGO_HOOKFLOW_DOMAIN"] == "https://shop.example.com"
    assert written["PAYMENTS_URL"] == "https://shop.example.com/sandbox"
    assert len(written["DJANGO_SECRET_KEY"]) >= 50


def test_it_says_what_is_left_to_fill_in(project: Path) -> None:
    done = run(project, "shop.example.com")

    empty = {name for name, value in values(project).items() if not value}
    assert empty == {
        "DATABASE_URL", "QSTASH_CURRENT_SIGNING_KEY",
        "QSTASH_NEXT_SIGNING_KEY", "QSTASH_TOKEN",
    }  # fmt: skip
    assert done.stdout == (
        "Wrote var/production.env for https://shop.example.com; git ignores "
        "it.\nFill in QSTASH_TOKEN, QSTASH_CURRENT_SIGNING_KEY, "
        "QSTASH_NEXT_SIGNING_KEY, and DATABASE_URL unless the host sets it. "
        "docs/deployment.md says where they come from.\n"
    )


def test_secrets_in_use_are_not_written_over(project: Path) -> None:
    run(project, "shop.example.com")
    before = (project / FILE).read_bytes()

    done = run(project, "shop.example.com")

    assert done.returncode == 1
    assert done.stderr == (
        "var/production.env is there already, with secrets that may be in "
        "use. Edit it, or move it first.\n"
    )
    assert (project / FILE).read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [(), ("https://shop.example.com",), ("localhost",), ("a.de", "b.de")],
)
def test_what_is_no_host_name_is_refused(
    project: Path, arguments: tuple[str, ...]
) -> None:
    done = run(project, *arguments)

    assert done.returncode == 2
    assert done.stderr.startswith("Say under which name")
    assert not (project / FILE).exists()


def test_git_ignores_the_file() -> None:
    ignored = (PROJECT / ".gitignore").read_text("utf-8").splitlines()

    assert "var/" in ignored


def test_every_host_takes_each_line_as_it_is(project: Path) -> None:
    run(project, "shop.example.com")

    for name, value in values(project).items():
        assert not set(value) & set(" \t'\"$`\\#"), name
