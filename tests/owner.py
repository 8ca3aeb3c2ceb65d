"""The owner of a baked project, who types commands in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# What a shell of ours would bring along, and theirs does not have.
OURS = {
    "CI",
    "DATABASE_URL",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    "VIRTUAL_ENV",
}

# Installed already: the project has the environment that runs this test.
INSTALLED = ("-o", ".venv/.synced-dev", "-o", ".venv/.synced-run")


class Owner:
    """A person in the directory of a project, with everything installed."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.variables = environment() | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            # The plugin of the extra "Temporal" is installed in any case.
            "PYTEST_ADDOPTS": "-p no:cacheprovider "
            "-o asyncio_default_fixture_loop_scope=function",
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.com",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.com",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        (project / ".venv").symlink_to(sys.prefix)
        self.types("git init --quiet --initial-branch main")
        exclude = project / ".git" / "info" / "exclude"
        exclude.write_text(".venv\n", encoding="utf-8")
        self.commits("Bake")

    def commits(self, subject: str) -> None:
        self.types("git add --all")
        self.types(f'git commit --quiet --message "{subject}"')

    def makes(self, *arguments: str) -> str:
        """Return the output of a make target, which must succeed."""
        return shown(self.tries("make", *INSTALLED, *arguments))

    def types(self, command: str) -> str:
        """Return the output of a shell command, which must succeed."""
        return shown(self.tries("bash", "-c", command))

    def tries(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Return a command that may fail; its screen is `stdout`."""
        return run_in(self.project, self.variables, *command)


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as on a fresh machine, which has to install everything."""
    python = {"PYTHON": str(Path(sys.executable).resolve())}
    return run_in(
        project, environment() | python, "make", "--no-print-directory",
        *arguments,
    )  # fmt: skip


def environment() -> dict[str, str]:
    """Return our variables without those that are only ours."""
    return {
        name: text for name, text in os.environ.items() if name not in OURS
    }


def run_in(
    folder: Path, variables: dict[str, str], *command: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def shown(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, f"{done.args}\n{done.stdout}"
    return done.stdout
