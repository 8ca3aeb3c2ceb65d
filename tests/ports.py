"""Ports at which no process listens, found as by the project's own tests."""

from __future__ import annotations

from collections.abc import Callable
from runpy import run_path

from clean_copy import REPOSITORY

PROJECT = REPOSITORY / "{{cookiecutter.project_slug}}"

free_ports: Callable[[int], list[int]] = run_path(
    str(PROJECT / "django_hookflow" / "tests" / "ports.py")
)["free_ports"]
