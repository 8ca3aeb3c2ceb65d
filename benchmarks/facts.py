"""The versions and hardware of a measurement; no host name, no path."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("django", "psycopg", "qstash", "gunicorn", "httpx", "pyjwt")


def facts(postgres: str) -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "memory_gb": memory(),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": processor(),
        "python": platform.python_version(),
        "postgresql": postgres,
        "sqlite": sqlite(),
        "packages": {name: found(name) for name in PACKAGES},
    }


def memory() -> int:
    return round(
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    )


def processor() -> str:
    """Return the model's name, if the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line for line in lines if line.startswith("model name")]
    return names[0].split(":", 1)[1].strip() if names else ""


def sqlite() -> str:
    import sqlite3

    return sqlite3.sqlite_version


def found(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
