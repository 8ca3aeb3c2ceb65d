"""The units: systemd itself reads them, in a root of their own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from .commands import commands_of
from .hosts import PROJECT
from .hosts import SYSTEMD
from .hosts import install_units
from .hosts import unit

UNITS = ("shop.service", "shop.socket", "shop-release.service")
EXPOSURE = 2.0  # of 10; 1.7 with systemd 252


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a machine after the commands of docs/deployment/systemd.md."""
    install_units(tmp_path, (SYSTEMD / name for name in UNITS))
    for name in (
        "srv/shop/.venv/bin/gunicorn",
        "srv/shop/.venv/bin/python",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o755)
    return tmp_path


def analyze(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", f"--root={root}", *arguments],
        capture_output=True,
        text=True,
    )


def test_systemd_finds_nothing_wrong_with_the_units(root: Path) -> None:
    done = analyze(root, "--man=no", "verify", *UNITS)

    # A line it cannot read is a warning and leaves the status at 0.
    assert [line for line in done.stderr.splitlines() if "shop" in line] == []
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["shop.service", "shop-release.service"])
def test_the_services_are_open_to_little(root: Path, name: str) -> None:
    done = analyze(root, "security", "--offline=yes", "--no-pager", name)

    level = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)

    assert level is not None, done.stderr
    assert float(level[1]) <= EXPOSURE


def test_a_release_leaves_no_old_code_in_gunicorn_s_own_process() -> None:
    page = PROJECT / "docs" / "deployment" / "systemd.md"
    typed = [command.text for command in commands_of(page)]
    release = typed.index("sudo git pull --ff-only")

    after = [line for line in typed[release:] if "shop.service" in line]

    assert after[0] == "sudo systemctl restart shop.service"
    assert not [line for line in typed if "reload shop" in line]
    assert "ExecReload" not in unit("shop.service")["Service"]
