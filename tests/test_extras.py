"""A project with an extra, and one without, holds its own promises."""

from __future__ import annotations

import pytest
from conftest import Bake
from owner import Owner

ASKED = (
    "python", "manage.py", "help", "run_temporal_worker",
    "--settings", "config.settings.test",
)  # fmt: skip


def test_a_project_with_temporal_passes_its_checks(bake: Bake) -> None:
    owner = Owner(bake(extras="Temporal"))

    owner.makes("check")
    assert "--max-concurrent" in owner.tries(*ASKED).stdout


def test_a_project_without_temporal_passes_its_checks(owner: Owner) -> None:
    owner.makes("check")

    assert "Unknown command" in owner.tries(*ASKED).stdout


@pytest.mark.slow
def test_a_project_with_temporal_passes_its_tests(bake: Bake) -> None:
    owner = Owner(bake(extras="Temporal"))

    owner.makes("hooks")
    owner.makes("test", "ARGS=-q -n 2")
    owner.makes(
        "test-engine",
        "VENDORED=django_hookflow/contrib/temporal",
        "ARGS=-q -n 2",
    )
