"""The files of a bake, for the default answers and for extremes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from html import escape
from pathlib import Path

import pytest
import yaml
from clean_copy import REPOSITORY
from clean_copy import tracked_files
from conftest import Bake

TEMPLATE = REPOSITORY / "{{cookiecutter.project_slug}}"
RENDERED = {"README.md", ".env.example", "LICENSE"}
LICENCES = ["MIT", "BSD-3-Clause", "Apache-2.0", "proprietary"]
EXTREMES = [
    {},
    {
        "project_name": "日本 \"🚀\" \\ 'x' <b> & `$HOME` " + "x" * 50,
        "project_slug": "2-" + "x" * 48,
        "author": 'Søren "the" O\'Neill \\',
        "public_domain": "a.b.xn--bcher-kva.example",
        "licence": "proprietary",
        "ci_provider": "GitLab",
    },
    {
        "project_name": "class",
        "author": "x",
        "public_domain": "x.y",
        "licence": "Apache-2.0",
        "ci_provider": "none",
    },
    {"extras": "Temporal"},
]
TEMPORAL = (
    "django_hookflow/contrib/temporal/",
    "docs/temporal.md",
    "temporal_app/",
)
# With the extra: the queue has the project's name, and the embedded server
# leaves its port to Temporal's UI.
DIFFERING = {
    "config/variables.py",
    "docs/configuration.md",
    "docs/tunnel.md",
    "temporal_app/README.md",
    "temporal_app/variables.py",
}
PAGE = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
import django
django.setup()
from django.test import Client
print(Client().get("/nowhere/").content.decode())
"""
# The generated pages are what the command would write.
WRITTEN = """
import subprocess
import sys
command = [sys.executable, "scripts/write_configuration.py", "--check"]
print(subprocess.run(command).returncode)
"""
CI_FILES = {
    "GitHub": {
        ".github/dependabot.yml",
        ".github/workflows/ci.yml",
    },
    "GitLab": {".gitlab-ci.yml"},
    "none": set[str](),
}


@pytest.mark.parametrize("answers", EXTREMES)
def test_a_bake_holds_the_files_of_the_template(
    answers: dict[str, str], bake: Bake
) -> None:
    project = bake(**answers)

    provider = answers.get("ci_provider", "GitHub")
    chosen = {"LICENSE"} | CI_FILES[provider]
    texts = {f"LICENSE.{licence}" for licence in LICENCES}
    every_ci = set[str]().union(*CI_FILES.values())
    expected = tracked_files(TEMPLATE) - texts - every_ci | chosen
    if "extras" not in answers:
        expected = {one for one in expected if not one.startswith(TEMPORAL)}
    assert files_of(project) == expected


@pytest.mark.parametrize("answers", EXTREMES)
def test_only_three_files_and_the_names_differ_from_the_template(
    answers: dict[str, str], bake: Bake
) -> None:
    project = bake(**answers)

    differing = {
        name
        for name in files_of(project) - RENDERED
        if (project / name).read_bytes() != (TEMPLATE / name).read_bytes()
    }
    # By default the site is called what the template calls itself.
    is_named = "project_name" in answers
    named_otherwise = {"config/name.txt"} if is_named else set()
    others = DIFFERING if "extras" in answers else marked()
    assert differing == {"pyproject.toml"} | named_otherwise | others
    named = tomllib.loads((project / "pyproject.toml").read_text())
    text = (TEMPLATE / "pyproject.toml").read_text()
    if "extras" not in answers:
        text = re.sub(r"^.*# temporal\n", "", text, flags=re.MULTILINE)
    template = tomllib.loads(text)
    assert named["project"].pop("name") == project.name
    assert template["project"].pop("name") == "hookflow-project"
    assert named == template


@pytest.mark.parametrize("answers", EXTREMES)
def test_no_template_language_is_left_over(
    answers: dict[str, str], bake: Bake
) -> None:
    project = bake(**answers)

    for name in files_of(project):
        text = (project / name).read_bytes()
        assert b"cookiecutter." not in text, name
        if name in RENDERED:
            assert not {b"{{", b"{%", b"{#"} & set(pairs(text)), name


@pytest.mark.parametrize("answers", EXTREMES)
def test_every_file_parses(answers: dict[str, str], bake: Bake) -> None:
    project = bake(**answers)

    for path in (project / name for name in files_of(project)):
        parse(path)


def test_a_file_keeps_its_mode_and_its_line_ends(bake: Bake) -> None:
    project = bake()

    for name in files_of(project):
        baked = project / name
        assert b"\r" not in baked.read_bytes(), name
        if name not in RENDERED:
            mode = (TEMPLATE / name).stat().st_mode
            assert baked.stat().st_mode == mode, name


def test_two_bakes_are_byte_identical(bake: Bake) -> None:
    first, second = bake(), bake()

    assert contents(first) == contents(second)
    assert first != second


def test_without_temporal_no_word_of_it_is_left(bake: Bake) -> None:
    project = bake()

    mentions = [
        name
        for name, text in contents(project).items()
        if b"temporal" in text.lower()
    ]
    assert mentions == []


def test_with_temporal_its_names_are_those_of_the_project(bake: Bake) -> None:
    project = bake(extras="Temporal", project_slug="flower-shop")

    texts = contents(project)
    queue = b"flower-shop-tasks"
    named = {name for name, text in texts.items() if queue in text}
    assert named == DIFFERING - {"config/variables.py", "docs/tunnel.md"} | {
        ".env.example"
    }
    assert b"\nQSTASH_URL=http://127.0.0.1:8082\n" in texts[".env.example"]
    checked = run_python(project, WRITTEN)
    assert checked == "0\n"


@pytest.mark.parametrize("licence", LICENCES)
def test_the_chosen_licence_names_the_author_and_no_year(
    licence: str, bake: Bake
) -> None:
    project = bake(licence=licence, author="Søren O'Neill")

    text = (project / "LICENSE").read_text(encoding="utf-8")
    holder = next(
        line for line in text.splitlines() if "Søren O'Neill" in line
    )
    assert holder.strip().startswith("Copyright ")
    assert not any(character.isdigit() for character in holder)
    assert [path.name for path in project.glob("LICENSE*")] == ["LICENSE"]


def test_the_readme_and_the_environment_carry_the_answers(bake: Bake) -> None:
    project = bake(project_name="Bücher & Co", public_domain="b.example")

    readme = (project / "README.md").read_text(encoding="utf-8")
    environment = (project / ".env.example").read_text(encoding="utf-8")
    assert readme.startswith("# Bücher & Co\n")
    assert "https://b.example" in environment


@pytest.mark.parametrize("name", ["Flower Shop ", EXTREMES[1]["project_name"]])
def test_the_pages_carry_the_name_that_was_typed(
    name: str, bake: Bake
) -> None:
    project = bake(project_name=name, project_slug="flowers", author="Ada")

    page = run_python(project, PAGE)

    assert f"<title>Nothing here | {escape(name.strip())}</title>" in page


def test_git_is_given_no_secret(bake: Bake) -> None:
    project = bake()
    (project / ".env").write_text("DJANGO_SECRET_KEY=x\n")
    (project / "db.sqlite3").write_text("")
    (project / ".venv").mkdir()
    (project / ".venv" / "pyvenv.cfg").write_text("")

    git(project, "init", "--quiet")
    git(project, "add", "--all")

    staged = set(git(project, "ls-files", "-z").split("\0")) - {""}
    assert staged == files_of(project) - {
        ".env",
        "db.sqlite3",
        ".venv/pyvenv.cfg",
    }


def files_of(project: Path) -> set[str]:
    """Return every file of a project, relative to it, with "/"."""
    return {
        path.relative_to(project).as_posix()
        for path in project.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(project).parts
    }


def contents(project: Path) -> dict[str, bytes]:
    """Return every file of a project with what it holds."""
    return {name: (project / name).read_bytes() for name in files_of(project)}


def marked() -> set[str]:
    """Return the files that are not Temporal's, with lines for it."""
    return {
        name
        for name in tracked_files(TEMPLATE) - RENDERED
        if not name.startswith(TEMPORAL)
        and b"emporal" in (TEMPLATE / name).read_bytes()
    }


def pairs(text: bytes) -> list[bytes]:
    """Return each two neighbouring bytes."""
    return [text[index : index + 2] for index in range(len(text) - 1)]


def parse(path: Path) -> None:
    """Read a file as what its name says it is; raise when it is not."""
    if path.suffix == ".py":
        compile(path.read_text(encoding="utf-8"), path, "exec")
    elif path.suffix == ".toml":
        tomllib.loads(path.read_text(encoding="utf-8"))
    elif path.suffix in {".yaml", ".yml"}:
        list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    elif path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))


def run_python(folder: Path, code: str) -> str:
    """Return the output of a script that runs in `folder`."""
    return subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code],
        cwd=folder,
        check=True,
        capture_output=True,
        encoding="utf-8",
    ).stdout


def git(folder: Path, *arguments: str) -> str:
    """Return the output of a git command."""
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_a_bake_from_a_used_clone_is_that_from_a_fresh_one(
    bake: Bake, template: Path, tmp_path: Path
) -> None:
    """As `make demo`, `make test` and a tool or two leave the template."""
    used = shutil.copytree(template, tmp_path / "used")
    for name in (
        ".env",
        ".venv/bin/activate",
        ".venv/lib/site-packages/jinja2/tests.py",
        ".tools/bin/uv",
        "db.sqlite3",
        "db.sqlite3-wal",
        "var/production.env",
        "uv.lock",
        "staticfiles/staticfiles.json",
        ".pytest_cache/v/cache/lastfailed",
        "config/__pycache__/checks.cpython-311.pyc",
        "htmlcov/index.html",
    ):
        file = used / "{{cookiecutter.project_slug}}" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"SECRET={{ secret }} {% not jinja \xff")
    fresh = bake()

    project = baked(used, tmp_path / "out")

    assert files_of(project) == files_of(fresh)


@pytest.mark.parametrize("link", [".venv/bin/python", ".venv"])
def test_a_link_that_leads_nowhere_breaks_no_bake(
    bake: Bake, template: Path, tmp_path: Path, link: str
) -> None:
    """As an environment has them whose Python was removed."""
    used = shutil.copytree(template, tmp_path / "used")
    file = used / "{{cookiecutter.project_slug}}" / link
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(tmp_path / "gone")
    fresh = bake()

    project = baked(used, tmp_path / "out")

    assert files_of(project) == files_of(fresh)


def baked(
    template: Path, folder: Path, *answers: str, **variables: str
) -> Path:
    """Return a project made by the command itself, as a person starts it."""
    folder.mkdir()
    subprocess.run(
        [
            sys.executable, "-m", "cookiecutter", str(template), "--no-input",
            "--default-config", "--output-dir", str(folder), *answers,
        ],
        env=os.environ | variables,
        check=True,
        capture_output=True,
    )  # fmt: skip
    (project,) = folder.iterdir()
    return project


@pytest.mark.parametrize("charset", ["cp1252", "ascii", "iso-8859-1"])
def test_a_name_that_the_terminal_cannot_show_is_baked(
    template: Path, tmp_path: Path, charset: str
) -> None:
    name = "project_name=Łódź Kauf"

    project = baked(template, tmp_path / "out", name, PYTHONIOENCODING=charset)

    assert (project / "config/name.txt").read_text("utf-8") == "Łódź Kauf\n"


def test_others_can_read_a_project_whatever_the_umask_is(
    template: Path, tmp_path: Path
) -> None:
    strict = shutil.copytree(template, tmp_path / "strict")
    for path in strict.rglob("*"):
        path.chmod(path.stat().st_mode & ~0o027)
    before = os.umask(0o027)
    try:
        project = baked(strict, tmp_path / "out")
    finally:
        os.umask(before)

    for path in [project, *project.rglob("*")]:
        wanted = 0o555 if path.is_dir() else 0o444
        assert path.stat().st_mode & wanted == wanted, path
