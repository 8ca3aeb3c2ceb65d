"""The files an image is made of, as far as they can be judged unbuilt."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from config.declaration import HOST
from django.apps import apps
from django.conf import settings

from project.containers.compose import PROJECT

DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
CADDYFILES = sorted((PROJECT / "deploy").rglob("Caddyfile"))


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run(
        [program, PROJECT / "Dockerfile"], capture_output=True, text=True
    )

    assert (linted.returncode, linted.stdout) == (0, "")


def test_bases_have_full_names_and_commands_no_shell() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    started = re.findall(
        r"^(?: {4})?(CMD|ENTRYPOINT) (.)", DOCKERFILE, re.MULTILINE
    )

    assert bases == ["docker.io/library/python:${PYTHON_VERSION}-slim"] * 2
    assert started == [("CMD", "["), ("CMD", "[")]  # health, and the site


def test_every_app_of_the_project_goes_into_the_image() -> None:
    ignored = (PROJECT / ".dockerignore").read_text(encoding="utf-8")
    ours = {
        Path(app.path).relative_to(PROJECT).parts[0]
        for app in apps.get_app_configs()
        if PROJECT in Path(app.path).parents
        and "site-packages" not in app.path
    }

    missing = {name for name in ours if f"!{name}\n" not in ignored}

    assert missing == set(), f"Name them in .dockerignore: {missing}"
    assert "!config\n" in ignored


def test_nothing_goes_into_the_image_unasked() -> None:
    lines = (PROJECT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    rules = [line for line in lines if line and not line.startswith("#")]
    last = max(i for i, rule in enumerate(rules) if rule.startswith("!"))

    assert rules[0] == "*"
    assert {"**/.*", "**/*.key", "**/*.pem", "**/*.sqlite3*", "**/tests"} <= (
        set(rules[last + 1 :])
    )


def test_static_files_are_collected_as_production_serves_them() -> None:
    asked = "import {0} as s; print(s.STORAGES, s.STATIC_ROOT, s.STATIC_URL)"
    variables = {
        "DJANGO_ENV_FILE": "/dev/null",
        "DATABASE_URL": "postgres://x/x",
    }
    production = (PROJECT / "config/settings/production.py").read_text()
    build = (PROJECT / "config/settings/build.py").read_text()

    built = subprocess.run(
        [sys.executable, "-c", asked.format("config.settings.build")],
        env=variables, cwd=PROJECT, capture_output=True, text=True,
    )  # fmt: skip

    assert built.returncode == 0, built.stderr  # without a secret
    assert "CompressedManifestStaticFilesStorage" in built.stdout
    storages = re.compile(r"^STORAGES = \{.*?^\}", re.MULTILINE | re.DOTALL)
    assert storages.findall(build) == storages.findall(production)
    assert str(settings.STATIC_ROOT) in built.stdout


@pytest.mark.parametrize("file", CADDYFILES, ids=lambda f: f.parent.name)
def test_the_caddyfile_is_valid(file: Path) -> None:
    caddy = shutil.which("caddy")
    if caddy is None:
        assert_that_braces_match(file.read_text(encoding="utf-8"))
        return

    checked = subprocess.run(
        [caddy, "validate", "--adapter", "caddyfile", "--config", file],
        env={"DJANGO_HOOKFLOW_DOMAIN": f"https://{HOST}", "HOME": "/tmp"},
        capture_output=True, text=True,
    )  # fmt: skip

    assert checked.returncode == 0, checked.stderr
    assert "Valid configuration" in checked.stdout + checked.stderr


def assert_that_braces_match(text: str) -> None:
    depth = 0
    for line in text.splitlines():
        code = re.sub(r"\{\$[^}]*\}", "", line.partition("#")[0])
        depth += code.count("{") - code.count("}")
        assert depth >= 0, line
    assert depth == 0


def test_make_image_prints_what_it_has_built_and_its_size(
    tmp_path: Path,
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\necho "$@" >>"$0.asked"\n'
        "case $2 in inspect) echo 188743680 ;; esac\n"
    )
    docker.chmod(0o755)

    made = subprocess.run(
        ["make", "--no-print-directory", "image", f"DOCKER={docker}",
         "IMAGE=shop", "PIP_CONF=/etc/pip.conf"],
        cwd=PROJECT, capture_output=True, text=True,
    )  # fmt: skip

    assert made.stdout == "The image shop has 189 MB.\n", made.stderr
    assert (tmp_path / "docker.asked").read_text().splitlines() == [
        "build --tag shop --secret id=pip,src=/etc/pip.conf .",
        "image inspect --format {{.Size}} shop",
    ]
