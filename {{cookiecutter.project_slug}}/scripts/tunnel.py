#!/usr/bin/env python3
"""Serve the site on a laptop to the QStash service, through ngrok.

    python scripts/tunnel.py         # Ctrl-C stops both
    NGROK_URL=https://shop.ngrok-free.app python scripts/tunnel.py

The embedded server of `make dev` needs no tunnel. This starts ngrok, asks
its local API for the public address, and then what `make dev` starts, with
that address in DJANGO_HOOKFLOW_DOMAIN, where each message asks to be sent.
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
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import ExitStack
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler
from urllib.request import build_opener

from addresses import HOST
from addresses import PROJECT
from addresses import is_free
from addresses import is_here
from addresses import pick
from addresses import read_variables

DEFAULT_PORT = 8000
PATIENCE = 30.0  # seconds ngrok has to open the tunnel
POLL = 0.1
GRACE = 10.0  # seconds a process has after SIGTERM

# Its local API: https://ngrok.com/docs/agent/api (2026-11). The next port is
# taken when another ngrok has this one; the log says which.
LOCAL_API = f"{HOST}:4040"
DIRECT = build_opener(ProxyHandler({}))  # a proxy would look elsewhere

OF_THE_SERVICE = (
    "QSTASH_TOKEN",
    "QSTASH_CURRENT_SIGNING_KEY",
    "QSTASH_NEXT_SIGNING_KEY",
)

NO_NGROK = (
    "ngrok is not installed. Get it from https://ngrok.com/download and tell "
    'it your token once: "ngrok config add-authtoken …", with the one that '
    "https://dashboard.ngrok.com/get-started/your-authtoken shows you. "
    'Without an account, "make dev" needs no tunnel.'
)


class TunnelError(Exception):
    """An error and its cure, in a sentence for the screen."""


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given = read_variables() | dict(os.environ)
    try:
        with suppress(KeyboardInterrupt):
            serve(given)
    except TunnelError as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    return 0


def serve(given: Mapping[str, str]) -> None:
    """Run until Ctrl-C, or until one of both processes ends by itself."""
    refuse_embedded(given)
    program = shutil.which("ngrok")
    if program is None:
        raise TunnelError(NO_NGROK)
    port = chosen_port(given.get("PORT", ""))
    with ExitStack() as started:
        log = Path(started.enter_context(tempfile.TemporaryDirectory()))
        log /= "ngrok.log"
        ngrok = started.enter_context(
            process(
                command(program, port, given.get("NGROK_URL", "")),
                log,
                its_token(given),
            )
        )
        public = public_url(ngrok, port, log)
        say(f"\n  Tunnel    {public} -> http://{HOST}:{port}\n")
        variables = variables_for(public, port, given)
        site = started.enter_context(
            process([sys.executable, "scripts/dev.py"], None, variables)
        )
        wait_for_an_end(ngrok, site, log)


def refuse_embedded(given: Mapping[str, str]) -> None:
    """Raise unless the variables are those of the QStash service."""
    url = given.get("QSTASH_URL", "")
    if is_here(url):
        raise TunnelError(
            f"QSTASH_URL is {url}, the embedded server, which reaches this "
            'machine without a tunnel: run "make dev". To try the QStash '
            "service, set QSTASH_URL, QSTASH_TOKEN and both signing keys in "
            ".env to what https://console.upstash.com/qstash shows."
        )
    missing = [name for name in OF_THE_SERVICE if not given.get(name)]
    if missing:
        raise TunnelError(
            f"{' and '.join(missing)} must be set in .env to what "
            "https://console.upstash.com/qstash shows."
        )


def chosen_port(wanted: str) -> int:
    """Return the port to listen at, chosen as by `make dev`."""
    if wanted and not (wanted.isdecimal() and is_free(int(wanted))):
        raise TunnelError(
            f"Port {wanted} cannot be used: give a number that no other "
            "program listens at, or leave PORT out to get a free one."
        )
    return pick(int(wanted or DEFAULT_PORT)).site_port


def command(program: str, port: int, url: str) -> list[str]:
    """Return the command for ngrok; `url` is an address of your account."""
    named = [f"--url={url}"] if url else []
    return [
        program, "http", f"{HOST}:{port}",
        "--log=stdout", "--log-format=json", *named,
    ]  # fmt: skip


def its_token(given: Mapping[str, str]) -> dict[str, str]:
    """Return the token, if it is in .env and not in ngrok's own file."""
    token = given.get("NGROK_AUTHTOKEN", "")
    return {"NGROK_AUTHTOKEN": token} if token else {}


def variables_for(
    public: str, port: int, given: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables of a site that is called at `public`."""
    return {
        "PORT": str(port),
        "DJANGO_HOOKFLOW_DOMAIN": public,
        "DJANGO_CSRF_TRUSTED_ORIGINS": with_item(
            given.get("DJANGO_CSRF_TRUSTED_ORIGINS", ""), public
        ),
    }


def with_item(texts: str, item: str) -> str:
    """Return a comma-separated list with `item` in it."""
    return ",".join([*filter(None, texts.split(",")), item])


def public_url(ngrok: subprocess.Popen[bytes], port: int, log: Path) -> str:
    """Return the address that ngrok has for our port."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if ngrok.poll() is not None:
            raise TunnelError(why_ended(log))
        for tunnel in tunnels(log):
            if leads_to(tunnel, port):
                return str(tunnel["public_url"])
        time.sleep(POLL)
    raise TunnelError(
        f"ngrok opened no tunnel within {PATIENCE:.0f} seconds. {hint(log)}"
    )


def tunnels(log: Path) -> list[dict[str, Any]]:
    """Return the tunnels of ngrok's local API; none while it is starting."""
    url = f"http://{local_api(log)}/api/tunnels"
    try:
        with DIRECT.open(url, timeout=5) as response:
            return list(json.load(response)["tunnels"])
    except (URLError, ConnectionError, TimeoutError, ValueError):
        return []


def local_api(log: Path) -> str:
    """Return the address of ngrok's API, from its log."""
    for line in records(log):
        if line.get("msg") == "starting web service":
            return str(line.get("addr") or LOCAL_API)
    return LOCAL_API


def leads_to(tunnel: Mapping[str, Any], port: int) -> bool:
    """Return True if it is ours, not of another ngrok on this machine."""
    addr = str(tunnel["config"]["addr"])
    return (
        tunnel["public_url"].startswith("https://")
        and urlsplit(addr if "//" in addr else f"//{addr}").port == port
    )


def wait_for_an_end(
    ngrok: subprocess.Popen[bytes], site: subprocess.Popen[bytes], log: Path
) -> None:
    while site.poll() is None:
        if ngrok.poll() is not None:
            raise TunnelError(why_ended(log))
        time.sleep(POLL)
    if site.returncode:
        raise TunnelError(f"The site ended with status {site.returncode}.")


def why_ended(log: Path) -> str:
    """Return ngrok's own error, and what to do if it is the token."""
    return f"ngrok has ended. {hint(log)}"


def hint(log: Path) -> str:
    said = [
        str(line["err"])
        for line in records(log)
        if line.get("err") not in (None, "", "<nil>", "nil")
    ]
    last = said[-1].strip() if said else "It said nothing of why."
    if "authtoken" in last or "ERR_NGROK_4018" in last:
        last += (
            '\nTell ngrok your token once: "ngrok config add-authtoken …", '
            "with the one that "
            "https://dashboard.ngrok.com/get-started/your-authtoken shows, "
            "or set NGROK_AUTHTOKEN."
        )
    return last


def records(log: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of ngrok's log that are complete."""
    for line in log.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict):
                yield record


@contextmanager
def process(
    words: list[str],
    log: Path | None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process; stop it and its children at the end.

    In a session of its own: the reloader's child would outlive its parent.
    """
    with ExitStack() as files:
        output = files.enter_context(log.open("wb")) if log else None
        child = subprocess.Popen(
            words, cwd=PROJECT, env=os.environ | (variables or {}),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield child
    finally:
        stop(child)


def stop(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
