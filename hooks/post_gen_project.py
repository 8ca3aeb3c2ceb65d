"""Name the project, keep what was chosen, and say what comes next.

Cookiecutter renders this file and runs it in the new project. Everything
here follows from the answers: no randomness, clock, network or process.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

CONTEXT = r"""{{ cookiecutter | jsonify }}"""

NAME_IN_TEMPLATE = 'name = "hookflow-project"'

# What each provider of CI reads.
CI_FILES = {"GitHub": ".github", "GitLab": ".gitlab-ci.yml"}


def finish(project: Path, answers: Mapping[str, str]) -> str:
    """Make `project` the one the answers ask for; the farewell to print."""
    forget_use(project)
    open_to_all(project)
    rename(project / "pyproject.toml", answers["project_slug"])
    name_site(project / "config" / "name.txt", answers["project_name"])
    keep_licence(project, answers["licence"])
    keep_ci(project, answers["ci_provider"])
    return farewell(answers)


def forget_use(project: Path) -> None:
    """Remove what using the template in place leaves there.

    Cookiecutter copies all that lies in the template: secrets, databases
    and environments too. What the project's .gitignore names, no project
    begins with.
    """
    lines = (project / ".gitignore").read_text(encoding="utf-8").splitlines()
    patterns = [line.rstrip("/") for line in lines if line[:1] not in "#"]
    patterns.append("uv.lock")
    for folder, folders, files in os.walk(project):
        for name in [*folders, *files]:
            if any(fnmatchcase(name, pattern) for pattern in patterns):
                remove(Path(folder, name))
        folders[:] = [one for one in folders if Path(folder, one).is_dir()]


def open_to_all(project: Path) -> None:
    """Let others read what its owner can, whatever the umask is.

    An image keeps the modes of the files that are copied into it, and runs
    as another user.
    """
    for path in [project, *project.rglob("*")]:
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)


def rename(pyproject: Path, slug: str) -> None:
    """Put the slug where the template has a name of its own."""
    text = pyproject.read_bytes().decode()
    renamed = text.replace(NAME_IN_TEMPLATE, f'name = "{slug}"', 1)
    pyproject.write_bytes(renamed.encode())


def name_site(file: Path, name: str) -> None:
    """Let the pages call the site what its owner typed."""
    file.write_bytes(f"{name.strip()}\n".encode())


def keep_licence(project: Path, licence: str) -> None:
    """Leave LICENSE, the text that was chosen, and none of the others."""
    (project / f"LICENSE.{licence}").replace(project / "LICENSE")
    for other in project.glob("LICENSE.*"):
        other.unlink()


def keep_ci(project: Path, provider: str) -> None:
    """Leave what the chosen provider reads, and nothing of the others."""
    for other, name in CI_FILES.items():
        if other != provider:
            remove(project / name)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def farewell(answers: Mapping[str, str]) -> str:
    """What next, in five lines."""
    slug = answers["project_slug"]
    return (
        f"{answers['project_name']} is ready in {slug}. What next:\n"
        f"  cd {slug}\n"
        "  make dev     # the site and the embedded QStash server\n"
        "  make demo    # one order from start to end, then stop\n"
        "  make test    # the tests, before you change orders/workflows.py"
    )


if __name__ == "__main__":
    # A terminal or a pipe may not know every letter of the name; a hook that
    # fails would have Cookiecutter delete the project.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    print(finish(Path.cwd(), json.loads(CONTEXT)))
