"""A project baked with the default answers holds its own promises."""

from __future__ import annotations

import re

import pytest
from clean_copy import REPOSITORY
from conftest import Bake
from owner import make

pytestmark = pytest.mark.slow

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_demo_prints_what_the_readme_shows(bake: Bake) -> None:
    shown = re.search(r"```text\n\$ make demo\n(.*?)```", README, re.DOTALL)
    assert shown is not None

    demo = make(bake(), "demo")

    assert demo.returncode == 0, demo.stdout
    words = without_numbers(demo.stdout)
    assert without_numbers(shown[1])[-len(words) :] == words


@pytest.mark.parametrize("provider", ["GitHub", "GitLab", "none"])
def test_the_project_passes_its_own_checks(provider: str, bake: Bake) -> None:
    check = make(bake(ci_provider=provider), "check")

    assert check.returncode == 0, check.stdout


def test_the_project_passes_its_own_tests(bake: Bake) -> None:
    project = bake()

    tests = make(project, "test", "ARGS=-n 2")

    assert tests.returncode == 0, tests.stdout


def without_numbers(screen: str) -> list[str]:
    """Return the words on a screen, without ids and times."""
    words = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", screen)
    words = re.sub(r"\d+\.\d m?s", "TIME", words)
    return re.sub(r"-{2,}", "", words).split()
