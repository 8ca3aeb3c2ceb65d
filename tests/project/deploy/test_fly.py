"""Fly.io knows what its file says."""

from __future__ import annotations

import re

from .hosts import fly
from .hosts import read


def test_fly_knows_each_key() -> None:
    """As https://fly.io/docs/reference/configuration/ had them, 2026-08."""
    text = read("fly.toml")

    keys = set(re.findall(r"^ *([a-z_]+) =", text, re.MULTILINE))
    tables = set(re.findall(r"^ *\[+([a-z_.]+)\]+", text, re.MULTILINE))

    assert keys <= {
        "app", "auto_start_machines", "auto_stop_machines", "force_https",
        "grace_period", "hard_limit", "internal_port", "interval",
        "kill_signal", "kill_timeout", "memory", "method",
        "min_machines_running", "path", "primary_region", "release_command",
        "size", "soft_limit", "strategy", "timeout", "type",
    }  # fmt: skip
    assert tables == {
        "build", "deploy", "env", "http_service", "http_service.checks",
        "http_service.concurrency", "vm",
    }  # fmt: skip
    assert fly().grace is not None
    assert fly().grace <= 300, "Fly's limit"
