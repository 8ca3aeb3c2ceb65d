"""The CI files of a project are valid, safe, and run its own targets."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from typing import cast

import pytest
import yaml
from clean_copy import REPOSITORY
from conftest import Bake
from owner import Owner
from test_readme import targets

PROJECT = REPOSITORY / "{{cookiecutter.project_slug}}"
PIN = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
WORKFLOWS = [
    *(REPOSITORY / ".github" / "workflows").iterdir(),
    *(PROJECT / ".github" / "workflows").iterdir(),
]
SCHEMAS = {
    "vendor.dependabot": [
        REPOSITORY / ".github" / "dependabot.yml",
        PROJECT / ".github" / "dependabot.yml",
    ],
    "vendor.github-workflows": WORKFLOWS,
    "vendor.gitlab-ci": [PROJECT / ".gitlab-ci.yml"],
}


@pytest.mark.parametrize("provider", ["GitHub", "GitLab", "none"])
def test_a_fresh_bake_passes_every_hook_of_its_own(
    provider: str, bake: Bake
) -> None:
    owner = Owner(bake(ci_provider=provider))

    screen = owner.makes("hooks")

    assert "Failed" not in screen
    assert owner.types("git status --short") == ""


@pytest.mark.parametrize(
    ("name", "text", "hook"),
    [
        ("k.py", 'KEY = "sk_live_{}"\n', "no secrets"),
        ("k.txt", "-----BEGIN RSA PRIVATE {}KEY-----\n", "no private keys"),
        (".env", "DJANGO_SECRET_KEY=x\n", "no file of variables"),
        ("a.md", "blank \n", "no blanks at the end"),
        ("a.md", "no end", "one line break at the end"),
        ("a.md", "two\r\nlines\n", "line ends of Unix"),
        ("a.md", "<<<<<<< ours\n=======\n>>>>>>> x\n", "no marks of a merge"),
        ("a.bin", "x" * 600_000, "no file above"),
        ("README.MD", "x\n", "no names that differ"),
        (".github/workflows/x.yml", "on: {}\n", "workflows of GitHub "),
    ],
)
def test_what_must_not_be_committed_is_refused(
    name: str, text: str, hook: str, owner: Owner
) -> None:
    key = "51Hq9aZxKq8wLmN3pQrStUvWx0YzAbCdE" if "KEY =" in text else ""
    (owner.project / name).write_bytes(text.format(key).encode())
    owner.types(f"git add --force {name}")

    refused = owner.tries(".venv/bin/pre-commit", "run", "--files", name)

    failed = re.findall(r"^(.*?)\.{3,}.*Failed$", refused.stdout, re.M)
    assert refused.returncode == 1, refused.stdout
    assert any(each.startswith(hook.strip()) for each in failed), failed


def test_every_step_of_ci_is_a_target_that_exists() -> None:
    in_project = commands_of(PROJECT)

    assert in_project["ci.yml"] == in_project[".gitlab-ci.yml"]
    assert in_project["ci.yml"] <= targets(PROJECT)


def test_both_providers_test_the_same_versions() -> None:
    github = matrix_of_github()

    assert github == matrix_of_gitlab()
    assert {python for python, _ in github} == {
        "3.11", "3.12", "3.13", "3.14"
    }  # fmt: skip
    long_term = re.search(
        r"django==([\d.]+); python_version < '3.12'",
        (PROJECT / "pyproject.toml").read_text(),
    )
    assert long_term is not None
    assert {django for _, django in github} == {"", long_term[1]}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_their_version(
    workflow: Path,
) -> None:
    uses = [
        line.strip(" -")
        for line in workflow.read_text().splitlines()
        if "uses:" in line
    ]

    assert uses
    assert [line for line in uses if not PIN.match(line)] == []


@pytest.mark.parametrize("folder", [REPOSITORY, PROJECT], ids=["ours", "its"])
def test_workflows_and_dependabot_are_safe(folder: Path) -> None:
    audit = run_tool(
        "zizmor", "--offline", "--no-progress", "--persona=auditor",
        folder / ".github",
    )  # fmt: skip

    assert audit.returncode == 0, audit.stdout
    assert "No findings to report" in audit.stdout


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_of_ci_are_valid(schema: str) -> None:
    checked = run_tool(
        "check-jsonschema", "--builtin-schema", schema, *SCHEMAS[schema]
    )

    assert checked.returncode == 0, checked.stdout


def test_uv_is_the_same_one_wherever_it_is_installed() -> None:
    """Its "audit" is a preview: with another one it may be gone."""
    in_project = re.search(
        r"^UV_VERSION := (\d[\d.]+)$",
        (PROJECT / "Makefile").read_text(),
        re.MULTILINE,
    )
    assert in_project is not None

    dockerfile = (PROJECT / "Dockerfile").read_text()
    installs = [
        line.strip()
        for folder in (REPOSITORY, PROJECT)
        for line in (folder / "Makefile").read_text().splitlines()
        if "bin/pip install" in line
    ]
    ours = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--always-make",
         "UV=.tools/bin/uv", str(REPOSITORY / ".tools/bin/uv")],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

    assert f"\nARG UV_VERSION={in_project[1]}\n" in dockerfile
    assert len(installs) == 2
    assert all(line.endswith("'uv==$(UV_VERSION)'") for line in installs)
    assert f"'uv=={in_project[1]}'" in ours


def test_the_template_is_tested_every_week_and_where_a_lock_may_be_older() -> (
    None
):
    ours = load(REPOSITORY / ".github" / "workflows" / "test.yaml")
    jobs = ours["jobs"]
    commands = {
        step["run"] for job in jobs.values() for step in job["steps"]
        if "run" in step
    }  # fmt: skip

    # YAML 1.1 reads "on" as a truth.
    assert cast("Any", ours)[True]["schedule"]
    assert "make audit" in commands
    [django] = {
        command.partition("DJANGO=")[2]
        for command in commands
        if "DJANGO=" in command
    }
    assert ("3.12", django) in matrix_of_github()
    assert jobs["long-term"]["strategy"]["matrix"]["python"] == [
        "3.12", "3.14",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("holes", "status", "says"),
    [([], 0, "no known vulnerabilities"), (["PYSEC-2026-1"], 2, "PYSEC")],
)
def test_the_audit_fails_for_a_known_hole(
    holes: list[str], status: int, says: str, owner: Owner
) -> None:
    with advisories(holes) as url:
        audit = owner.tries("make", "audit", f"OSV={url}")

    assert audit.returncode == status, audit.stdout
    assert says in audit.stdout


@contextmanager
def advisories(holes: list[str]) -> Iterator[str]:
    """Yield a service of advisories (OSV v1) that knows `holes` in Django."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            asked = json.loads(self.rfile.read(size))["queries"]
            self.answer({"results": [self.found(query) for query in asked]})

        def do_GET(self) -> None:
            self.answer({
                "id": self.path.rpartition("/")[2],
                "modified": "2026-11-01T00:00:00Z",
                "summary": "A hole",
                "affected": [],
            })  # fmt: skip

        def found(self, query: dict[str, Any]) -> dict[str, Any]:
            known = query["package"]["name"] == "django"
            now = "2026-11-01T00:00:00Z"
            rows = [{"id": hole, "modified": now} for hole in holes]
            return {"vulns": rows} if known and rows else {}

        def answer(self, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def commands_of(folder: Path) -> dict[str, set[str]]:
    """Return the targets of make that each file runs."""
    github = load(folder / ".github" / "workflows" / "ci.yml")["jobs"]
    gitlab = load(folder / ".gitlab-ci.yml")
    return {
        "ci.yml": targets_of(
            step["run"]
            for job in github.values()
            for step in job["steps"]
            if "run" in step
        ),
        ".gitlab-ci.yml": targets_of(
            line
            for job in gitlab.values()
            if "script" in job
            for line in job["script"]
        ),
    }


def targets_of(lines: Iterator[str]) -> set[str]:
    found = [re.fullmatch(r'make ([a-z-]+)(?: ARGS=".*")?', line)
             for line in lines]  # fmt: skip
    assert all(found)
    return {match[1] for match in found if match}


def matrix_of_github() -> set[tuple[str, str]]:
    """Return the versions of Python and Django; "" is what the lock says."""
    ci = load(PROJECT / ".github" / "workflows" / "ci.yml")
    matrix = ci["jobs"]["test"]["strategy"]["matrix"]
    return {
        *((python, "") for python in matrix["python"]),
        *((each["python"], each["django"]) for each in matrix["include"]),
    }


def matrix_of_gitlab() -> set[tuple[str, str]]:
    ci = load(PROJECT / ".gitlab-ci.yml")
    return {
        (python, django)
        for each in ci["test"]["parallel"]["matrix"]
        for python in each["PYTHON_VERSION"]
        for django in each["DJANGO"]
    }


def load(path: Path) -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load(path.read_text("utf-8")))


def run_tool(
    name: str, *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    """Return a tool of the environment that runs the tests."""
    return subprocess.run(
        [Path(sys.executable).parent / name, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
