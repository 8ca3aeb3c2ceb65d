"""The tests that docs/testing.md shows pass, and find what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from documents import PROJECT
from documents import blocks_of

NODE = "test_plans.py::test_a_customer_is_charged_once"


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    said = run(tmp_path, the_tests())

    assert "6 passed" in said, said


def test_without_the_key_the_mistake_is_found_as_shown(tmp_path: Path) -> None:
    (shown,) = (
        b.text for b in blocks_of("testing.md") if b.language == "text"
    )
    mistaken = the_tests().replace(
        'key = ctx.idempotency_key("charge")', "key = object().__hash__()"
    )

    said = run(tmp_path, mistaken)

    assert "1 failed, 5 passed" in said, said
    for line in shown.replace(f"tests/{NODE}", NODE).splitlines():
        assert line in said, said


def the_tests() -> str:
    """Return the Python of the page as one module."""
    blocks = blocks_of("testing.md")
    return "\n\n".join(b.text for b in blocks if b.language == "python")


def run(folder: Path, module: str) -> str:
    """Return what pytest says of a module, in the project."""
    (folder / "test_plans.py").write_text(module, "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "pytest", "-p", "django_hookflow.pytest_plugin"),
            *("-p", "no:cacheprovider", "-p", "no:xdist", "--color=no"),
            "test_plans.py",
        ],
        cwd=folder,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "PYTHONPATH": str(PROJECT),
            "PYTEST_ADDOPTS": "",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr
