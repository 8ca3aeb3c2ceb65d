"""The variables the settings read, and one error that names all bad ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import MutableMapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import cast
from urllib.parse import urlsplit

import dj_database_url
import dj_email_url  # type: ignore[import-untyped]
from django.core.exceptions import ImproperlyConfigured
from environs import Env
from environs import EnvValidationError
from environs import ValidationError
from environs import validate

from config.declaration import Variable
from config.variables import VARIABLES
from config.variables import needed_in

BASE_DIR = Path(__file__).resolve().parent.parent

# SQLite waits for its one writer instead of failing: WAL lets readers read,
# IMMEDIATE takes the write lock at BEGIN, where waiting for it is possible.
SQLITE_OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
}

# PostgreSQL plans a statement that comes again only once: a third off the
# time of a step. Behind PgBouncer in transaction mode this needs its 1.21.
# A server that is gone without a word is noticed within half a minute.
POSTGRES_OPTIONS: dict[str, Any] = {
    "server_side_binding": True,
    "prepare_threshold": 5,
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
RATE = re.compile(rf"(?:off|([1-9]\d*)/({'|'.join(SECONDS)}))$")

# The error of environs for a missing variable, and ours for an empty one.
EMPTY = "It is empty."
MISSING = {"Environment variable not set.", EMPTY}

problems: dict[str, Sequence[str]] = {}

ENV_FILE = os.environ.get("DJANGO_ENV_FILE", str(BASE_DIR / ".env"))

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def reach_loopback_directly(variables: MutableMapping[str, str]) -> None:
    """Bypass a proxy for addresses of this machine.

    It would look for the site and other servers of this machine on
    a machine of its own. Every client of this process reads `no_proxy`; the
    lower case wins where both are set.
    """
    given = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    known = [one.strip() for one in given.split(",") if one.strip()]
    missing = [one for one in LOOPBACK if one not in known]
    if "*" not in known:
        variables["no_proxy"] = ",".join([*known, *missing])


env = Env(eager=False)
env.read_env(ENV_FILE, recurse=False)
reach_loopback_directly(os.environ)

PARSERS: dict[str, Callable[..., Any]] = {
    "text": env.str,
    "flag": env.bool,
    "whole": env.int,
    "number": env.float,
    "list": env.list,
    "rate": env.str,
}


def variable(name: str, module: str = "base") -> Any:
    """Return the value of a declared variable, or its default in `module`.

    An unreadable value is None until `seal` raises, naming all of them.
    """
    declared = VARIABLES[name]
    default = declared.default_in(module)
    match declared.kind:
        case "database":
            return database(str(default))
        case "mail":
            return mail(str(default))
        case kind if is_given(name):
            return PARSERS[kind](name, validate=rules(declared))
        case _:
            return list(default) if isinstance(default, tuple) else default


def throttles(module: str = "base") -> dict[str, str]:
    """Return the rate of each scope of core.throttling."""
    prefix = "DJANGO_THROTTLE_"
    return {
        name.removeprefix(prefix).lower(): variable(name, module)
        for name in VARIABLES
        if name.startswith(prefix)
    }


def is_given(name: str) -> bool:
    """Return True if a variable is not empty; compose files set ""."""
    return bool(env.str(name, ""))


def rules(declared: Variable) -> list[validate.Validator]:
    """Return the validators of a value, beyond its type."""
    found: list[validate.Validator] = []
    if declared.choices:
        words = ", ".join(declared.choices)
        found.append(
            validate.OneOf(declared.choices, error=f"Not one of {words}.")
        )
    if declared.kind == "rate":
        found.append(
            validate.Regexp(RATE, error="Neither like 20/minute nor off.")
        )
    if declared.least is not None:
        found.append(
            validate.Range(
                min=declared.least, error=f"Less than {declared.least:g}."
            )
        )
    if declared.most is not None:
        found.append(
            validate.Range(
                max=declared.most, error=f"More than {declared.most:g}."
            )
        )
    return found


def database(default: str) -> dict[str, Any]:
    """Return the entry of DATABASES for `DATABASE_URL`, or for `default`."""
    config: dict[str, Any] = dict(
        env.dj_db_url("DATABASE_URL") or {}
        if is_given("DATABASE_URL")
        else dj_database_url.parse(default)
    )
    if config.get("ENGINE") == "django.db.backends.sqlite3":
        config["NAME"] = sqlite_file(config["NAME"])
        config["OPTIONS"] = SQLITE_OPTIONS | config.get("OPTIONS", {})
    elif config.get("ENGINE") == "django.db.backends.postgresql":
        config["OPTIONS"] = POSTGRES_OPTIONS | config.get("OPTIONS", {})
    return config


def kept_connections(
    config: Mapping[str, Any], *, age: int, pool: int
) -> dict[str, Any]:
    """Return the options that reuse connections; `pool` is PostgreSQL's."""
    if not pool or "postgresql" not in config.get("ENGINE", ""):
        return {"CONN_MAX_AGE": age, "CONN_HEALTH_CHECKS": True}
    # Seconds to wait for a free one: longer than most requests take.
    sizes = {"min_size": min(2, pool), "max_size": pool, "timeout": 10}
    return {
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**config["OPTIONS"], "pool": sizes},
    }


def sqlite_file(name: str) -> str:
    """Return the path of the same file in every working directory."""
    return name if name == ":memory:" else str(BASE_DIR / name)


def mail(default: str) -> dict[str, Any]:
    """Return the EMAIL_… settings of `DJANGO_EMAIL_URL`, or of `default`."""
    given = is_given("DJANGO_EMAIL_URL")
    url = given and env.str("DJANGO_EMAIL_URL", validate=is_mail_url)
    return dict(dj_email_url.parse(url or default))


def host_of(url: str | None) -> list[str]:
    """Return the host name in `url`; none if it is invalid."""
    try:
        host = urlsplit(url or "").hostname
    except ValueError:
        return []
    return [f"[{host}]" if ":" in host else host] if host else []


def is_mail_url(url: str) -> None:
    """Raise ValidationError unless Django can send mail with `url`."""
    try:
        known = "EMAIL_BACKEND" in dj_email_url.parse(url)
    except ValueError:
        known = False
    if not known:
        raise ValidationError(
            "Not a valid mail URL; it begins with submission://, smtp://, "
            "file: or console:"
        )


def mailer(mail: Mapping[str, Any]) -> dict[str, Any]:
    """Return `mail` as an entry of MAILERS, for Django 6.1."""
    entry = {"BACKEND": mail["EMAIL_BACKEND"]}
    if mail["EMAIL_HOST"]:
        entry["OPTIONS"] = {
            "host": mail["EMAIL_HOST"],
            "port": mail["EMAIL_PORT"],
            "username": mail["EMAIL_HOST_USER"],
            "password": mail["EMAIL_HOST_PASSWORD"],
            "use_tls": mail["EMAIL_USE_TLS"],
            "use_ssl": mail["EMAIL_USE_SSL"],
            "timeout": mail["EMAIL_TIMEOUT"],
        }
    elif mail["EMAIL_FILE_PATH"]:
        entry["OPTIONS"] = {"file_path": mail["EMAIL_FILE_PATH"]}
    return entry


def seal(module: str = "") -> None:
    """End the reading of variables; raise if any was wrong or is missing."""
    for name in needed_in(module):
        env.str(name, validate=validate.Length(min=1, error=EMPTY))
    try:
        env.seal()
    except EnvValidationError as error:
        found = cast("Mapping[str, list[str]]", error.error_messages)
        problems.update(found)
        # Django imports settings that failed once more, so begin again.
        env.__init__(eager=False)  # type: ignore[misc]
        env.read_env(ENV_FILE, recurse=False)
    if problems:
        raise ImproperlyConfigured(complaint(problems))


def complaint(errors: Mapping[str, Sequence[str]]) -> str:
    """Return the error of each variable, and where they are documented."""
    lines = [
        f"  {name} is not configured."
        if MISSING & set(messages)
        else f"  {name}: {' '.join(dict.fromkeys(messages))}"
        for name, messages in sorted(errors.items())
    ]
    return "\n".join(
        [
            "These environment variables are missing or wrong:",
            *lines,
            '.env.example explains each. On a laptop run "make dev", which '
            "writes .env; elsewhere set them where the site is started.",
        ]
    )
