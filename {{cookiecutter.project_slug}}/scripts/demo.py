#!/usr/bin/env python3
"""Process one order, over real HTTP.

    python scripts/demo.py           # then stop
    KEEP=1 python scripts/demo.py    # leave it running

Starts the site and the embedded QStash server at free ports, with a database
and secrets of their own that are deleted, so your own are not touched.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import TypeVar
from urllib.error import HTTPError
from urllib.error import URLError
from urllib.request import Request
from urllib.request import urlopen

from addresses import HOST
from addresses import PROJECT
from addresses import Addresses
from addresses import pick
from setup_env import fresh_secrets

PATIENCE = 60.0
"""Seconds the site has to answer, and then the order to be fulfilled."""

POLL = 0.1
"""Seconds between two looks."""

TAIL = 40
"""Lines of the server's log to show when something failed."""

ENDED = frozenset({"completed", "failed", "cancelled", "compensated"})
CARD = "4242 4242 4242 4242"  # the sandbox's card that pays


LOG = "server.log"
HEAD = ["STEP", "KIND", "STATUS", "ATTEMPTS", "DURATION", "DELIVERIES"]
TEXTS = 3  # so many of the columns are not numbers

T = TypeVar("T")


class DemoError(Exception):
    """An error, in a sentence for the screen."""


@dataclass(frozen=True)
class Site:
    """A running site; `process` is its server."""

    addresses: Addresses
    process: subprocess.Popen[bytes]

    def request(self, path: str, body: Any = None) -> Any:
        """Return the JSON of a GET, or of a POST if there is a `body`."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(
            self.addresses.site + path,
            data,
            {"Content-Type": "application/json", "Accept": "application/json"},
        )
        try:
            with urlopen(request, timeout=10) as response:
                return json.load(response)
        except HTTPError as error:
            answer = error.read(2000).decode(errors="replace")
            raise DemoError(
                f"{request.get_method()} {path} was answered with "
                f"{error.code}: {answer}"
            ) from error

    def check_alive(self) -> None:
        if self.process.poll() is not None:
            raise DemoError(
                f"The site ended with exit status {self.process.returncode}."
            )

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    os.environ["no_proxy"] = HOST  # a proxy would look for it elsewhere
    with ExitStack() as leftovers:
        scratch = Path(tempfile.mkdtemp(prefix="hookflow-demo-"))
        leftovers.callback(shutil.rmtree, scratch, ignore_errors=True)
        try:
            site = start(scratch)
            leftovers.callback(site.stop)
            order = fulfilled_order(site)
        except DemoError as error:
            sys.stderr.write(f"{tail(scratch)}\n\nThe demo failed. {error}\n")
            return 1
        except KeyboardInterrupt:
            say("Stopped.")
            return 128 + signal.SIGINT
        say(report(order))
        if os.environ.get("KEEP", "") not in {"", "0"}:
            say(farewell(site, order, scratch))
            leftovers.pop_all()
    return 0


def start(scratch: Path) -> Site:
    """Start a site with a migrated database and a few products."""
    addresses = pick()
    variables = dict(os.environ) | environment(addresses, scratch)
    log = scratch / LOG
    for arguments in (["migrate", "--no-input"], ["load_products"]):
        with log.open("ab") as output:
            done = subprocess.run(
                manage(*arguments), env=variables, cwd=PROJECT,
                stdout=output, stderr=output,
            )  # fmt: skip
        if done.returncode:
            raise DemoError(f'"manage.py {arguments[0]}" did not work.')
    with log.open("ab") as output:
        process = subprocess.Popen(
            manage("runserver", "--noreload",
                   f"{HOST}:{addresses.site_port}"),
            env=variables, cwd=PROJECT, stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    return Site(addresses, process)


def environment(addresses: Addresses, scratch: Path) -> dict[str, str]:
    """Return variables that share nothing with the developer's site."""
    return (
        fresh_secrets()
        | addresses.variables({})
        | {
            "DJANGO_ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            "DJANGO_DEBUG": "True",
            "DATABASE_URL": f"sqlite:///{scratch / 'db.sqlite3'}",
            "PYTHONUNBUFFERED": "1",
        }
    )


def manage(*arguments: str) -> list[str]:
    return [sys.executable, "manage.py", *arguments]


def fulfilled_order(site: Site) -> dict[str, Any]:
    """Place an order as a customer does; return it when its run has ended."""
    products = wait_for(site, "answer", lambda: products_of(site))
    lines = [
        {"sku": product["sku"], "quantity": 1}
        for product in products
        if product["stock"]
    ]
    placed = site.request(
        "/api/orders/",
        {"email": "ada@example.com", "card_number": CARD, "lines": lines[:2]},
    )
    say(f"Placed order {placed['id']} of {placed['total']}.")
    order = wait_for(
        site, "end the order", lambda: ended_order(site, placed["id"])
    )
    if order["status"] != "fulfilled":
        raise DemoError(f"The order ended as {order['status']}.")
    return order


def products_of(site: Site) -> list[dict[str, Any]] | None:
    """Return the products, or None while the site is starting."""
    with suppress(URLError):
        products: list[dict[str, Any]] = site.request("/api/products/")
        return products
    return None


def ended_order(site: Site, order_id: str) -> dict[str, Any] | None:
    """Return the order, or None while its run is open."""
    order = site.request(f"/api/orders/{order_id}/")
    run = order["run"]
    return order if run and run["status"] in ENDED else None


def wait_for(site: Site, what: str, look: Callable[[], T | None]) -> T:
    """Return the first result of `look`; raise after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        site.check_alive()
        found = look()
        if found is not None:
            return found
        time.sleep(POLL)
    raise DemoError(f"The site did not {what} within {PATIENCE:.0f} seconds.")


def report(order: Mapping[str, Any]) -> str:
    """Return the order's run as a table, one line per step."""
    run = order["run"]
    steps = [row(step) for step in run["steps"]]
    return (
        f"The order is {order['status']}.\n\n"
        f"{table([HEAD, *steps])}\n\n"
        f"{len(steps)} steps in {run['deliveries']} deliveries; "
        f"{run['messages']} messages sent."
    )


def row(step: Mapping[str, Any]) -> list[str]:
    """Return a step's cells in the order of HEAD."""
    return [
        step["step_id"],
        step["kind"],
        step["status"],
        str(step["attempts"]),
        readable(step["duration"]),
        str(step["deliveries"]),
    ]


def readable(seconds: float | None) -> str:
    """Return a duration for people; a dash for None."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return aligned rows, text to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if index < TEXTS else cell.rjust(width)
            for index, (cell, width) in enumerate(
                zip(cells, widths, strict=True)
            )
        )
        for cells in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def farewell(site: Site, order: Mapping[str, Any], scratch: Path) -> str:
    """Return the addresses of the running site, and how to stop it."""
    return (
        f"\n  Shop      {site.addresses.site}/\n"
        f"  Order     {order['page']}\n"
        f"  QStash    {site.addresses.qstash} (embedded)\n\n"
        "  It is still running; stop it with: "
        f"kill {site.process.pid} && rm -r '{scratch}'"
    )


def tail(scratch: Path) -> str:
    """Return the end of the server's log."""
    log = scratch / LOG
    lines = (
        log.read_text(errors="replace").splitlines() if log.exists() else []
    )
    return "\n".join(lines[-TAIL:])


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
