"""The README is true: its code runs, its commands exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from clean_copy import REPOSITORY

PROJECT = REPOSITORY / "{{cookiecutter.project_slug}}"
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")

# Runs the blocks as their text says: the function in an app's module, the
# rest afterwards, while the clock moves and messages are delivered.
RUNNER = """
import sys
from datetime import UTC, datetime, timedelta

import django
django.setup()

from django.core.management import call_command
from django_hookflow import clock
from django_hookflow.models import WorkflowRun
from django_hookflow.transports.memory import memory_transport

call_command("migrate", verbosity=0)
declare, trigger, *tell = sys.argv[1:]
names = {"__name__": "orders.workflows"}
moved = timedelta()

with clock.source(lambda: datetime.now(UTC) + moved):
    exec(declare, names)
    exec(trigger, names)
    memory_transport().drain()
    moved = timedelta(days=3, minutes=1)
    memory_transport().drain()
    exec("".join(tell), names)
    memory_transport().drain()
run = WorkflowRun.objects.get(run_id=names["run_id"])
print(run.status, run.result)
"""


def test_the_workflow_of_the_readme_runs_as_its_text_says(
    tmp_path: Path,
) -> None:
    assert shown_by(README, tmp_path) == (
        "To ada@example.com: Thank you for your order.\n"
        "To ada@example.com: How do you like it?\n"
        "completed {'stars': 5}\n"
    )


def test_the_workflow_of_the_project_runs_as_its_readme_says(
    tmp_path: Path,
) -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")

    assert shown_by(text, tmp_path) == (
        "To ada@example.com: Welcome!\n"
        "To ada@example.com: How do you like it?\n"
        "completed None\n"
    )


def shown_by(text: str, folder: Path) -> str:
    """Return the output of the Python blocks in a README."""
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
    }

    run = subprocess.run(
        [sys.executable, "-c", RUNNER, *blocks],
        cwd=PROJECT,
        env=variables,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stderr
    return run.stdout


def test_every_command_of_make_in_the_documents_exists() -> None:
    ours, its = targets(REPOSITORY), targets(PROJECT)

    assert commands_of(README) <= ours | its
    assert commands_of((PROJECT / "README.md").read_text()) <= its


def test_every_file_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)

    assert links
    assert all((REPOSITORY / link).is_file() for link in links)


def commands_of(text: str) -> set[str]:
    """Return the targets of `make` in code blocks and inline code."""
    code = re.findall(r"```\n(.*?)```|`([^`\n]+)`", text, re.DOTALL)
    return set(
        re.findall(r"^(?:\$ )?make ([a-z-]+)", "\n".join(map("\n".join, code)),
                   re.MULTILINE)
    )  # fmt: skip


def targets(folder: Path) -> set[str]:
    """Return the targets that `make help` lists there."""
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return set(re.findall(r"^  make ([a-z-]+)", listed, re.MULTILINE))
