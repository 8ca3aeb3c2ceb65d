"""Name the project, keep the chosen files, and print the next steps.

Cookiecutter renders this file and runs it in the new project. The
result depends on the answers only: no randomness, clock, network or process.
"""

from __future__ import annotations

import io
import json
import os
import re
import runpy
import shutil
import sys
from collections.abc import Callable
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

CONTEXT = r"""{{ cookiecutter | jsonify }}"""

NAME_IN_TEMPLATE = 'name = "hookflow-project"'

# The files that each CI provider reads.
CI_FILES = {"GitHub": ".github", "GitLab": ".gitlab-ci.yml"}

# Which answers to "extras" have an extra of their own: its mark in files of
# others, and its paths. The title of its settings is the answer.
EXTRAS = {
    "Temporal": (
        "temporal",
        "django_hookflow/contrib/temporal docs/temporal.md temporal_app",
    ),
}
SETTINGS = (".env.example", "docs/configuration.md")
QUEUE = "hookflow-project-tasks"
# Temporal's UI is at port 8080 of a laptop.
OTHER_PORT = ("127.0.0.1:8080", "127.0.0.1:8082")
NAMES_PORT = (".env.example", "config/variables.py", "docs/tunnel.md")


def finish(project: Path, answers: Mapping[str, str]) -> str:
    """Adapt `project` to the answers; return the text to print."""
    forget_use(project)
    open_to_all(project)
    rename(project / "pyproject.toml", answers["project_slug"])
    name_site(project / "config" / "name.txt", answers["project_name"])
    keep_licence(project, answers["licence"])
    keep_ci(project, answers["ci_provider"])
    keep_extra(project, answers["extras"])
    name_queue(project, answers["project_slug"])
    return farewell(answers)


def forget_use(project: Path) -> None:
    """Remove files left by using the template in place.

    Cookiecutter copies every file in the template, also secrets, databases
    and environments. Files that match the project's .gitignore are removed.
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
    """Make files readable for all that their owner can read.

    An image keeps the modes of the copied files and runs as another user.
    """
    for path in [project, *project.rglob("*")]:
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)


def rename(pyproject: Path, slug: str) -> None:
    """Replace the template's own project name by the slug."""
    text = pyproject.read_bytes().decode()
    renamed = text.replace(NAME_IN_TEMPLATE, f'name = "{slug}"', 1)
    pyproject.write_bytes(renamed.encode())


def name_site(file: Path, name: str) -> None:
    """Store the project name as the site's name."""
    file.write_bytes(f"{name.strip()}\n".encode())


def keep_licence(project: Path, licence: str) -> None:
    """Keep the chosen licence as LICENSE; delete the others."""
    (project / f"LICENSE.{licence}").replace(project / "LICENSE")
    for other in project.glob("LICENSE.*"):
        other.unlink()


def keep_ci(project: Path, provider: str) -> None:
    """Keep the files of the chosen CI provider; delete the others."""
    for other, name in CI_FILES.items():
        if other != provider:
            remove(project / name)


def keep_extra(project: Path, chosen: str) -> None:
    """Remove the extras that are not chosen: their files and their lines."""
    for title, (mark, paths) in EXTRAS.items():
        if chosen == title:
            for name in NAMES_PORT:
                edit(project / name, lambda text: text.replace(*OTHER_PORT))
            continue
        for path in map(project.joinpath, paths.split()):
            if path.exists():
                remove(path)
        forget_lines(project, mark)
        for name in SETTINGS:
            edit(project / name, partial(without_section, title=title))


def forget_lines(project: Path, mark: str) -> None:
    """Remove marked lines, by the command that removes other parts."""
    command = project / "scripts" / "remove.py"
    without = runpy.run_path(str(command))["without"]
    for path in project.rglob("*"):
        if path.is_file() and mark.encode() in path.read_bytes():
            edit(path, lambda text: without(text, mark).rstrip() + "\n")


def without_section(text: str, title: str) -> str:
    """Remove the part of a generated page below a title."""
    text = re.sub(
        rf"^# --- {title} -+\n(?:(?!# --- ).*\n)*", "", text, flags=re.M
    )
    return re.sub(rf"^## {title}\n(?:(?!## ).*\n)*", "", text, flags=re.M)


def name_queue(project: Path, slug: str) -> None:
    """Name the queue of Temporal after the project, where there is one."""
    paths = [*SETTINGS, *EXTRAS["Temporal"][1].split()]
    places = [project / path for path in paths]
    for path in [*places, *(p for place in places for p in place.rglob("*"))]:
        edit(path, lambda text: text.replace(QUEUE, f"{slug}-tasks"))


def edit(file: Path, change: Callable[[str], str]) -> None:
    """Change the text of a file, and no line end of it."""
    if not file.is_file():
        return
    text = file.read_bytes().decode()
    file.write_bytes(change(text).encode())


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def farewell(answers: Mapping[str, str]) -> str:
    """Return the next steps, in five lines."""
    slug = answers["project_slug"]
    return (
        f"{answers['project_name']} is ready in {slug}. Next steps:\n"
        f"  cd {slug}\n"
        "  make dev     # serve the site and the embedded QStash server\n"
        "  make demo    # process one order, then stop\n"
        "  make test    # run the tests, then change orders/workflows.py"
    )


if __name__ == "__main__":
    # A terminal may not be able to encode the name; if the hook failed,
    # Cookiecutter would delete the project.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    print(finish(Path.cwd(), json.loads(CONTEXT)))
