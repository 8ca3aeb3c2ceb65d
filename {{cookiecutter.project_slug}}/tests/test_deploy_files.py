"""Every file that deploys the site, beside the list of variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.declaration import PRODUCTION
from config.variables import DECLARED
from config.variables import VARIABLES
from config.variables import needed_in
from django_hookflow.conf import Settings
from django_hookflow.contrib.api.conf import Settings as ApiSettings

PROJECT = Path(__file__).resolve().parents[1]
PATTERNS = (
    ".env.example", "Dockerfile", "Procfile", "app.json", "compose*.yaml",
    "gunicorn.conf.py", "deploy/**/*", "docs/**/*.md", ".devcontainer/**/*",
    ".github/**/*.yml", ".gitlab-ci.yml",
)  # fmt: skip

# Names of ours begin like this; others belong to other programs.
NAME = re.compile(
    r"(?<![\w$.-])(?:"
    + "|".join(sorted({f"{one.name.partition('_')[0]}_" for one in DECLARED}))
    + r")[A-Z0-9_]*[A-Z0-9](?![\w*…(-])"
)
# Of the images of PostgreSQL and of ngrok, of Docker Compose, of Django's
# and QStash's documents: read by none of our files.
OF_OTHERS = {
    "COMPOSE_PROJECT_NAME",
    "DJANGO_SUPERUSER_PASSWORD",
    "POSTGRES_DB",
    "POSTGRES_HOST_AUTH_METHOD",
    "POSTGRES_USER",
    "SENTRY_AUTH_TOKEN",
}

# Settings of the embedded server, which no variable sets.
OF_THE_SERVER = {
    "QSTASH_SERVER_ALLOWED_HOSTS",
    "QSTASH_SERVER_QUOTAS",
    "QSTASH_SERVER_ROUTES",
}

# What stands in the place of a secret: another variable, what a host makes
# or keeps, an example.
NO_SECRET = re.compile(
    r"(?i)\$|\{\{|preserve\(\)|database\.env\.|:password@|…|\.\.\."
)
SET = re.compile(
    r"^[ \t-]*\"?([A-Z][A-Z0-9_]+)\"?[ \t]*[:=][ \t]*(\S.*)$", re.MULTILINE
)


def files() -> Iterator[Path]:
    for pattern in PATTERNS:
        yield from (p for p in PROJECT.glob(pattern) if p.is_file())


def as_ids(path: Path) -> str:
    return str(path.relative_to(PROJECT))


@pytest.mark.parametrize("path", sorted(files()), ids=as_ids)
def test_a_file_names_no_variable_that_is_not_declared(path: Path) -> None:
    known = [*vars(Settings), *vars(ApiSettings)]
    settings = {name for name in known if name.isupper()}
    settings |= OF_THE_SERVER

    named = set(NAME.findall(path.read_text(encoding="utf-8")))

    assert named - set(VARIABLES) - settings - OF_OTHERS == set()


@pytest.mark.parametrize("path", sorted(files()), ids=as_ids)
def test_a_file_holds_no_secret(path: Path) -> None:
    given = SET.findall(path.read_text(encoding="utf-8"))

    told = [
        (name, value)
        for name, value in given
        if name in VARIABLES
        and VARIABLES[name].secret
        and not NO_SECRET.search(value)
    ]

    assert told == []


def test_what_production_needs_is_explained_where_it_is_deployed() -> None:
    """Both .env.example and docs/configuration.md have each."""
    for path in (".env.example", "docs/configuration.md"):
        text = (PROJECT / path).read_text(encoding="utf-8")

        assert [n for n in needed_in(PRODUCTION) if n not in text] == []
