"""A test that hangs ends after minutes, by its name; the others go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TESTS = """
def test_endless():
    while True:
        pass


def test_after_it():
    pass
"""


@pytest.mark.slow
def test_a_test_that_hangs_is_ended_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "test_hanging.py").write_text(TESTS)
    config = ["-c", PROJECT / "pyproject.toml", "-o", "timeout=5"]
    options = [*config, "-p", "no:cacheprovider", "-n1", tmp_path]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "::test_endless - Failed: Timeout (>5.0s)" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_each_test_has_a_time_limit(request: pytest.FixtureRequest) -> None:
    assert 0 < float(request.config.getini("timeout")) <= 600
