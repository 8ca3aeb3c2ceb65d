"""Skips for tools that not every machine has."""

from __future__ import annotations

import shutil

import pytest


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Deselect the tests of units where systemd is missing."""
    if shutil.which("systemd-analyze"):
        return
    left_out = [item for item in items if asks_systemd(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def asks_systemd(item: pytest.Item) -> bool:
    """Return True if it is named so, or uses `root` with units."""
    names: list[str] = getattr(item, "fixturenames", [])
    return "root" in names or item.name.startswith("test_systemd_")
