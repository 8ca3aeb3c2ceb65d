#!/usr/bin/env python3
"""Write var/production.env, the variables of a deployed site, once.

    python scripts/deploy_env.py shop.example.com

Every variable without which config.settings.production does not start is in
it: fresh secrets, addresses under that host name, and empty lines for what
only others know. One NAME=value a line, as every host's import takes them.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from setup_env import fresh_secrets

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from config.declaration import PRODUCTION  # noqa: E402
from config.variables import VARIABLES  # noqa: E402
from config.variables import needed_in  # noqa: E402

FILE = Path("var", "production.env")
NAME = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]+")

# Some hosts set it, and there it must not be in the file.
BY_HOST = "DATABASE_URL"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not NAME.fullmatch(arguments[0]):
        sys.stderr.write(
            "Say under which name the site will be asked for, without "
            "https://, e.g.: python scripts/deploy_env.py shop.example.com\n"
        )
        return 2
    values = values_for(arguments[0])
    try:
        write(PROJECT / FILE, values)
    except FileExistsError:
        sys.stderr.write(
            f"{FILE} is there already, with secrets that may be in use. "
            "Edit it, or move it first.\n"
        )
        return 1
    sys.stdout.write(farewell(values))
    return 0


def values_for(host: str) -> dict[str, str]:
    """Return a value for each needed variable; "" is to be filled in."""
    known = fresh_secrets() | {
        "DJANGO_ALLOWED_HOSTS": host,
        "DJANGO_EMAIL_URL": "console:",
        "DJANGO_HOOKFLOW_DOMAIN": f"https://{host}",
        "PAYMENTS_URL": f"https://{host}/sandbox",  # sample
    }
    ours = {"DJANGO_SETTINGS_MODULE": "config.settings.production"}
    for name in needed_in(PRODUCTION):
        ours[name] = "" if name.startswith("QSTASH_") else known.get(name, "")
    return ours | {"QSTASH_URL": str(VARIABLES["QSTASH_URL"].default)}


def write(path: Path, values: dict[str, str]) -> None:
    """Write a file that only its owner can read; raise FileExistsError."""
    path.parent.mkdir(exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w", encoding="utf-8", newline="\n") as file:
        for name, value in values.items():
            # Commented out, it is set by the host.
            mark = "#" if name == BY_HOST else ""
            file.write(f"{mark}{name}={value}\n")


def farewell(values: dict[str, str]) -> str:
    missing = [name for name in values if not values[name] and name != BY_HOST]
    return (
        f"Wrote {FILE} for {values['DJANGO_HOOKFLOW_DOMAIN']}; git ignores "
        f"it.\nFill in {', '.join(missing)}, and {BY_HOST} unless the host "
        "sets it. docs/deployment.md says where they come from.\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
