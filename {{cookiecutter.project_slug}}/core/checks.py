"""System checks for settings that would fail in production."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Error
from django.core.checks import register
from django.core.checks import run_checks
from django.core.management.base import SystemCheckError

from config.variables import DECLARED
from django_hookflow.strength import weakness

# The tokens of the official development server's four users stand in its
# docs: https://upstash.com/docs/qstash/howto/local-development (2026-08).
# Their signing keys are refused by the engine.
PUBLIC_TOKENS = frozenset(
    {
        "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3"
        "b3JkIn0=",
        "eyJVc2VySUQiOiJ0ZXN0VXNlcjEiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
        "eyJVc2VySUQiOiJ0ZXN0VXNlcjIiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
        "eyJVc2VySUQiOiJ0ZXN0VXNlcjMiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
    }
)

# Django's security.W009 wants 50 characters; some hosts make fewer, and 32
# random ones are enough.
SECRET_KEY_LENGTH = 32
# Of the other secrets: what a provider chooses may be shorter.
SECRET_LENGTH = 20
# The engine judges its own keys.
OTHER_SECRETS = (
    "QSTASH_TOKEN",
    "DJANGO_METRICS_TOKEN",
)


def refuse_to_start() -> None:
    """Run the checks; SystemCheckError with all that is an error.

    `manage.py` runs them by itself, gunicorn does not: without this a site
    would start with the development keys published in QStash's docs.
    """
    errors = [str(found) for found in run_checks() if found.is_serious()]
    if errors:
        raise SystemCheckError(
            "The site does not start, since it would not work:\n"
            + "\n".join(errors)
        )


@register("site")
def check_database(**_: Any) -> list[CheckMessage]:
    engine = settings.DATABASES["default"]["ENGINE"]
    if "sqlite" not in engine or settings.DJANGO_ALLOW_SQLITE:
        return []
    return [
        Error(
            "DATABASE_URL is an SQLite database, in which one process at a "
            "time can write and which a new container forgets.",
            hint="Use PostgreSQL. If one process on one machine with a disk "
            "is all there will be, set DJANGO_ALLOW_SQLITE=True.",
            id="core.E001",
        )
    ]


@register("site")
def check_token(**_: Any) -> list[CheckMessage]:
    if settings.DEBUG or str(settings.QSTASH_TOKEN) not in PUBLIC_TOKENS:
        return []
    return [
        Error(
            "QSTASH_TOKEN is a development token that is printed in QStash's "
            "docs: anyone can publish with it.",
            hint="Copy your own from the QStash console.",
            id="core.E002",
        )
    ]


@register("site")
def check_secret_key(**_: Any) -> list[CheckMessage]:
    if settings.DEBUG or not weakness(settings.SECRET_KEY, SECRET_KEY_LENGTH):
        return []
    return [
        Error(
            "DJANGO_SECRET_KEY can be guessed, and anyone who has it can log "
            "in as any user.",
            hint="Set it to a long random text, such as this prints: python "
            '-c "import secrets; print(secrets.token_urlsafe(50))"',
            id="core.E003",
        )
    ]


@register("site")
def check_secrets(**_: Any) -> list[CheckMessage]:
    if settings.DEBUG:
        return []
    values = {name: getattr(settings, name, "") for name in OTHER_SECRETS}
    return [
        Error(
            f"{name} can be guessed: it {problem}.",
            hint="Set it to what its provider shows, or to a long random "
            'text: python -c "import secrets; '
            'print(secrets.token_urlsafe(32))"',
            id="core.E005",
        )
        for name, value in values.items()
        if value and (problem := weakness(str(value), SECRET_LENGTH))
    ]


@register("site")
def check_addresses(**_: Any) -> list[CheckMessage]:
    """Refuse loopback addresses, which a fresh .env has, with DEBUG off."""
    if settings.DJANGO_ALLOW_LOOPBACK:
        return []
    addresses = (one.name for one in DECLARED if "://" in (one.fresh or ""))
    return [
        Error(
            f"{name} is {url}, an address that only this machine can reach.",
            hint="Set it to a public address. If everything runs on this "
            "machine, set DJANGO_ALLOW_LOOPBACK=True.",
            id="core.E004",
        )
        for name in addresses
        if is_here(url := str(getattr(settings, name)))
    ]


def is_here(url: str) -> bool:
    """Return True if `url` is an address of this machine."""
    host = ""
    try:
        host = urlsplit(url).hostname or ""
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
