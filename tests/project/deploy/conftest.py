"""What needs a tool that not every machine can have."""

from __future__ import annotations

import shutil

import pytest


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """The units are verified where systemd is: not on a Mac, say."""
    if shutil.which("systemd-analyze"):
        return
    left_out = [item for item in items if asks_systemd(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def asks_systemd(item: pytest.Item) -> bool:
    """It is named so, or wants a machine's `root` with units installed."""
    names: list[str] = getattr(item, "fixturenames", [])
    return "root" in names or item.name.startswith("test_systemd_")
