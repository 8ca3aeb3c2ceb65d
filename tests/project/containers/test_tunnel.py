"""`make tunnel` beside a stand-in for ngrok that speaks its local API."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from config.environment import BASE_DIR as PROJECT

DEADLINE = 60
SERVICE = {
    "QSTASH_URL": "https://qstash.upstash.io",
    "QSTASH_TOKEN": "token-of-the-service",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_current",
    "QSTASH_NEXT_SIGNING_KEY": "sig_next",
}

# The answer of GET /api/tunnels, https://ngrok.com/docs/agent/api (2026-11),
# and the lines of a JSON log that say where the API listens.
NGROK = """\
#!{python}
import http.server, json, os, pathlib, sys
here = pathlib.Path(__file__).resolve().parent
(here / "arguments").write_text(" ".join(sys.argv[1:]))
def log(**line): print(json.dumps({{"lvl": "info", **line}}), flush=True)
if (here / "refuses").exists():
    log(lvl="eror", msg="session closing", obj="tunnels.session",
        err=(here / "refuses").read_text())
    sys.exit(1)
def tunnel(url, addr):
    return {{"name": "command_line", "ID": "1f2e", "public_url": url,
            "uri": "/api/tunnels/command_line", "proto": "https",
            "config": {{"addr": addr, "inspect": True}},
            "metrics": {{"conns": {{"count": 0}}, "http": {{"count": 0}}}}}}
class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ours = tunnel("https://ours.ngrok-free.app", f"http://{{sys.argv[2]}}")
        foreign = tunnel("https://foreign.ngrok-free.app", "http://localhost:9")
        listed = {{"tunnels": [foreign, ours], "uri": "/api/tunnels"}}
        body = json.dumps(listed)
        self.send_response(200 if self.path == "/api/tunnels" else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Api)
log(msg="open config file", err=None)
log(msg="starting web service", obj="web",
    addr=f"127.0.0.1:{{server.server_port}}")
(here / "pid").write_text(str(os.getpid()))
server.serve_forever()
"""

# Says what the site would have got, and serves until it is stopped.
MANAGE = """\
import os, pathlib, signal, sys, time
names = ("DJANGO_HOOKFLOW_DOMAIN", "DJANGO_CSRF_TRUSTED_ORIGINS",
         "QSTASH_URL")
here = pathlib.Path(__file__).parent
text = "".join(f"{name}={os.environ.get(name)}\\n" for name in names)
(here / "served").write_text(" ".join(sys.argv[1:]) + "\\n" + text)
while not (here / "end").exists():
    time.sleep(0.02)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with the scripts, and an ngrok of our own in bin."""
    shutil.copytree(
        PROJECT / "scripts",
        tmp_path / "scripts",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (tmp_path / "manage.py").write_text(MANAGE)
    (tmp_path / "bin").mkdir()
    ngrok = tmp_path / "bin" / "ngrok"
    ngrok.write_text(NGROK.format(python=sys.executable))
    ngrok.chmod(0o755)
    return tmp_path


def test_the_site_is_served_at_the_address_of_the_tunnel(
    project: Path,
) -> None:
    tunnel = start(project)
    wait_for((project / "served").exists, tunnel)
    served = (project / "served").read_text().splitlines()
    (project / "end").touch()
    output, errors = tunnel.communicate(timeout=DEADLINE)

    forwarded, *options = (
        (project / "bin" / "arguments").read_text().split()[1:]
    )
    assert served == [
        f"runserver {forwarded}",
        "DJANGO_HOOKFLOW_DOMAIN=https://ours.ngrok-free.app",
        "DJANGO_CSRF_TRUSTED_ORIGINS=https://ours.ngrok-free.app",
        "QSTASH_URL=https://qstash.upstash.io",
    ]
    assert options == ["--log=stdout", "--log-format=json"]
    assert f"https://ours.ngrok-free.app -> http://{forwarded}" in output
    assert (tunnel.returncode, errors) == (0, "")
    assert not is_alive(project)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_both(project: Path, number: int) -> None:
    tunnel = start(project)
    wait_for((project / "served").exists, tunnel)

    tunnel.send_signal(number)
    _, errors = tunnel.communicate(timeout=DEADLINE)

    assert (tunnel.returncode, errors) == (0, "")
    assert not is_alive(project)


def test_an_address_of_your_account_is_asked_for(project: Path) -> None:
    tunnel = start(project, NGROK_URL="https://ours.ngrok-free.app")
    wait_for((project / "served").exists, tunnel)
    (project / "end").touch()
    tunnel.communicate(timeout=DEADLINE)

    arguments = (project / "bin" / "arguments").read_text().split()
    assert "--url=https://ours.ngrok-free.app" in arguments


def test_the_embedded_server_needs_no_tunnel(project: Path) -> None:
    errors = refused(project, QSTASH_URL="http://127.0.0.1:8080")

    assert errors == (
        "QSTASH_URL is http://127.0.0.1:8080, the embedded server, which "
        'reaches this machine without a tunnel: run "make dev". To try the '
        "QStash service, set QSTASH_URL, QSTASH_TOKEN and both signing keys "
        "in .env to what https://console.upstash.com/qstash shows."
    )


def test_values_that_are_missing_are_named(project: Path) -> None:
    errors = refused(project, QSTASH_TOKEN="", QSTASH_NEXT_SIGNING_KEY="")

    assert errors == (
        "QSTASH_TOKEN and QSTASH_NEXT_SIGNING_KEY must be set in .env to "
        "what https://console.upstash.com/qstash shows."
    )


def test_a_missing_ngrok_is_told_with_where_to_get_it(project: Path) -> None:
    errors = refused(project, PATH=os.defpath)

    assert errors.startswith("ngrok is not installed. Get it from https://")
    assert "your-authtoken" in errors


def test_a_missing_token_is_told_in_the_words_of_ngrok(project: Path) -> None:
    (project / "bin" / "refuses").write_text(
        "authentication failed: Usage of ngrok requires a verified account "
        "and authtoken.\n\nERR_NGROK_4018\n"
    )

    errors = refused(project)

    assert errors.startswith("ngrok has ended. authentication failed: ")
    assert "ngrok config add-authtoken" in errors
    assert "https://dashboard.ngrok.com/get-started/your-authtoken" in errors


def refused(project: Path, **variables: str) -> str:
    """Return what is said when it does not even start."""
    tunnel = start(project, **variables)
    output, errors = tunnel.communicate(timeout=DEADLINE)
    assert (tunnel.returncode, output) == (1, "")
    assert not (project / "served").exists()
    return errors.strip()


def start(project: Path, **variables: str) -> subprocess.Popen[str]:
    ours = {name: os.environ[name] for name in ("HOME", "LANG")
            if name in os.environ}  # fmt: skip
    path = f"{project / 'bin'}:{os.environ['PATH']}"
    return subprocess.Popen(
        [sys.executable, "scripts/tunnel.py"],
        cwd=project,
        env=ours | SERVICE | {"PATH": path} | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(fact: Callable[[], bool], tunnel: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if fact():
            return
        if tunnel.poll() is not None:
            raise AssertionError(tunnel.communicate())
        time.sleep(0.05)
    tunnel.kill()
    raise AssertionError(tunnel.communicate())


def is_alive(project: Path) -> bool:
    """Return True if the stand-in for ngrok still runs."""
    pid = int((project / "bin" / "pid").read_text())
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
