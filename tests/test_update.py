"""A project follows the template: cruft merges, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import pytest
from clean_copy import REPOSITORY
from clean_copy import clean_copy
from owner import environment
from owner import run_in
from owner import shown

CRUFT = Path(sys.executable).parent / "cruft"

# How many changes of the template lie between, while there is no tag.
CHANGES = 20

ADDED_TO_README = "\n## Our runbook\n\nAsk Ada.\n"
ADDED_TO_WORKFLOWS = '''

@workflow
def say_hello(ctx: WorkflowContext) -> str:
    """A workflow of the owner."""
    return "Hello"
'''

pytestmark = pytest.mark.slow


class History:
    """The template as a repository of two versions, an older one and ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        git(folder, "init", "--quiet", "--initial-branch", "main")
        unpack(earlier_version(), folder)
        self.old = commit(folder, "Old")
        git(folder, "rm", "-r", "--quiet", ".")
        clean_copy(folder)
        self.new = commit(folder, "New")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return History(tmp_path_factory.mktemp("template"))


@pytest.fixture
def project(history: History, tmp_path: Path) -> Path:
    """Return a project of the older version, committed by its owner."""
    cruft(tmp_path, "create", str(history.folder), "--no-input",
          "--checkout", history.old)  # fmt: skip
    made = tmp_path / "order_desk"
    git(made, "init", "--quiet", "--initial-branch", "main")
    commit(made, "Bake")
    return made


def test_an_update_keeps_what_the_owner_wrote(
    project: Path, history: History
) -> None:
    append(project / "README.md", ADDED_TO_README)
    append(project / "orders" / "workflows.py", ADDED_TO_WORKFLOWS)
    settings = project / "config" / "settings" / "base.py"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace('"UTC"', '"Europe/Berlin"', 1))
    commit(project, "Make it ours")

    cruft(project, "update", "--skip-apply-ask")

    assert rejected(project) == []
    assert 'TIME_ZONE = "Europe/Berlin"' in settings.read_text()
    assert ends_with(project / "README.md", ADDED_TO_README)
    assert ends_with(project / "orders" / "workflows.py", ADDED_TO_WORKFLOWS)
    assert version_of(project) == history.new
    assert "no issues" in checks(project)


def test_an_update_without_changes_of_ones_own_is_the_new_version(
    project: Path, history: History, tmp_path: Path
) -> None:
    cruft(project, "update", "--skip-apply-ask")

    commit(project, "Update")
    assert "diff --git" not in cruft(project, "diff")
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    cruft(fresh, "create", str(history.folder), "--no-input")
    assert tracked(project) == files_of(fresh / "order_desk")
    assert "up to date" in cruft(project, "check")


def test_a_project_of_cookiecutter_is_linked_and_follows(
    history: History, tmp_path: Path
) -> None:
    git(history.folder, "checkout", "--quiet", history.old)
    shown(run_in(
        tmp_path, environment(), sys.executable, "-m", "cookiecutter",
        "--no-input", "--default-config", str(history.folder),
    ))  # fmt: skip
    git(history.folder, "checkout", "--quiet", "main")
    project = tmp_path / "order_desk"
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "Bake")

    cruft(project, "link", str(history.folder), "--no-input",
          "--checkout", history.old)  # fmt: skip
    commit(project, "Link")
    cruft(project, "update", "--skip-apply-ask")

    assert rejected(project) == []
    assert version_of(project) == history.new


def test_the_page_shows_the_commands_of_these_tests() -> None:
    folder = REPOSITORY / "{{cookiecutter.project_slug}}" / "docs"
    page = (folder / "updating.md").read_text(encoding="utf-8")

    shown = re.findall(r"^\$ uvx cruft@(\S+) (.*)$", page, re.MULTILINE)

    installed = version("cruft")
    assert shown == [
        (installed, "link path/to/hookflow-template --checkout COMMIT"
                    " --no-input"),
        (installed, "check"),
        (installed, "update --skip-apply-ask"),
    ]  # fmt: skip


def earlier_version() -> str:
    """Return the last tag, or the template some changes ago."""
    tags = git(REPOSITORY, "tag", "--list", "v*", "--sort=-version:refname")
    changes = git(
        REPOSITORY, "log", "--first-parent", "--format=%H",
        f"--max-count={CHANGES}", "--",
        "{{cookiecutter.project_slug}}", "hooks", "cookiecutter.json",
    )  # fmt: skip
    baked = [change for change in changes.split() if can_be_baked(change)]
    return [*tags.split()[:1], *baked[::-1]][0]


def can_be_baked(revision: str) -> bool:
    return bool(git(REPOSITORY, "ls-tree", revision, "cookiecutter.json"))


def unpack(revision: str, folder: Path) -> None:
    archive = subprocess.run(
        ["git", "archive", revision],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    ).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def cruft(folder: Path, *arguments: str) -> str:
    """Return what cruft prints; it must end well."""
    variables = environment() | identity() | {"HOME": str(folder)}
    return shown(run_in(folder, variables, str(CRUFT), *arguments))


def git(folder: Path, *arguments: str) -> str:
    variables = environment() | identity()
    return shown(run_in(folder, variables, "git", *arguments))


def identity() -> dict[str, str]:
    """Return the author of commits, whatever this machine configures."""
    return {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
    }


def commit(folder: Path, subject: str) -> str:
    """Return the id of a commit of everything."""
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", subject)
    return git(folder, "rev-parse", "HEAD").strip()


def checks(project: Path) -> str:
    """Return what Django finds to say about a project that can be started."""
    variables = {"DJANGO_SETTINGS_MODULE": "config.settings.test"}
    return shown(run_in(
        project, environment() | variables, sys.executable, "manage.py",
        "check",
    ))  # fmt: skip


def version_of(project: Path) -> str:
    """Return the commit of the template that the project says it follows."""
    state = json.loads((project / ".cruft.json").read_text(encoding="utf-8"))
    return str(state["commit"])


def rejected(project: Path) -> list[Path]:
    """Return the unmerged files: rejects, and files with conflict marks."""
    marked = [
        path
        for path in map(project.joinpath, tracked(project))
        if path.is_file() and b"\n<<<<<<< " in path.read_bytes()
    ]
    return [*project.rglob("*.rej"), *marked]


def tracked(project: Path) -> set[str]:
    return set(git(project, "ls-files").splitlines())


def files_of(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def ends_with(path: Path, text: str) -> bool:
    return path.read_text(encoding="utf-8").endswith(text)
