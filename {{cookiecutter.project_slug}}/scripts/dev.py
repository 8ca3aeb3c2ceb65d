#!/usr/bin/env python3
"""Serve the site and the embedded QStash server, and print the addresses.

    python scripts/dev.py            # at port 8000, or a free one
    PORT=9000 python scripts/dev.py

It becomes `manage.py runserver`, which starts the embedded server itself,
so Ctrl-C reaches one process and stops everything. With the embedded server
it registers the schedules of a deployed site, so runs whose message was lost
are swept here too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from addresses import HOST
from addresses import PROJECT
from addresses import Addresses
from addresses import is_free
from addresses import is_here
from addresses import pick
from addresses import read_variables

DEFAULT_PORT = 8000
PATIENCE = 60  # seconds the embedded server has to start


def main() -> None:
    given = read_variables() | dict(os.environ)
    addresses = choose(given)
    sys.stdout.write(welcome(addresses, given))
    sys.stdout.flush()
    os.chdir(PROJECT)
    variables = addresses.variables(given)
    if "QSTASH_URL" in variables:
        register_schedules(os.environ | variables)
    os.execve(
        sys.executable,
        [sys.executable, "manage.py", "runserver",
         f"{HOST}:{addresses.site_port}"],
        os.environ | variables,
    )  # fmt: skip


def choose(given: Mapping[str, str]) -> Addresses:
    """Return the ports to listen at; exit if PORT names a taken one."""
    wanted = given.get("PORT", "")
    if wanted and not (wanted.isdecimal() and is_free(int(wanted))):
        sys.exit(
            f"Port {wanted} cannot be used: give a number that no other "
            "program listens at, or leave PORT out to get a free one."
        )
    return pick(int(wanted or DEFAULT_PORT), embedded_port(given))


def embedded_port(given: Mapping[str, str]) -> int:
    """Return the port of QSTASH_URL; 0 if it is another machine's."""
    url = given.get("QSTASH_URL", "")
    return (urlsplit(url).port or 0) if is_here(url) else 0


def register_schedules(variables: Mapping[str, str]) -> None:
    """Wait for the embedded server in a process that ends when it is done."""
    subprocess.Popen(
        [sys.executable, "manage.py", "hookflow_schedule",
         "--wait", str(PATIENCE)],
        env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def welcome(addresses: Addresses, given: Mapping[str, str]) -> str:
    """Return the addresses, in a few lines."""
    messages = addresses.variables(given).get("QSTASH_URL")
    return (
        f"\n  Site      {addresses.site}/{replaced(addresses, given)}\n"
        f"  Admin     {addresses.site}/admin/ "
        "(first: make superuser)\n"
        f"  QStash    {messages or given['QSTASH_URL']}"
        f"{' (embedded)' if messages else ''}\n\n"
        "  Ctrl-C stops all of it.\n\n"
    )


def replaced(addresses: Addresses, given: Mapping[str, str]) -> str:
    """Return why the site is not at its usual port; "" if it is."""
    if given.get("PORT") or addresses.site_port == DEFAULT_PORT:
        return ""
    return f" ({DEFAULT_PORT} is taken)"


if __name__ == "__main__":
    main()
