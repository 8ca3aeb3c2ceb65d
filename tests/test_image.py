"""The image that is deployed, built and run: small, hardened, graceful."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import ExitStack
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler
from urllib.request import Request
from urllib.request import build_opener

import images
import pytest
from clean_copy import REPOSITORY
from clean_copy import tracked_files
from images import Buildah
from images import Container
from images import Docker
from images import Images
from ports import free_ports

from benchmarks.lab import postgres_script

pytestmark = pytest.mark.slow

PROJECT = REPOSITORY / "{{cookiecutter.project_slug}}"
HOST = "127.0.0.1"
DEADLINE = 120  # seconds, for what should take a few
DIRECT = build_opener(ProxyHandler({}))

# Bytes beside Python and Debian: the dependencies, the code, static files. The
# template has every extra: Temporal's library is a third of it.
LARGEST = 190_000_000

SECRET = "a-secret-of-this-machine"  # in files that must stay outside
SECRET_FILES = (
    ".env",
    ".env.production",
    "db.sqlite3",
    "dump.sql",
    "id_rsa",
    "config/.env",
    "config/signing.key",
    "orders/db.sqlite3-wal",
    "var/backup.tar",
)

# Development is not in it, nor what built it.
UNWANTED = ("pip", "pytest", "mypy", "ruff", "uv", "hypothesis", "playwright")

# Production, and a workflow that a test can hold in the middle of a step.
SETTINGS = """\
from config.settings.production import *

INSTALLED_APPS = [*INSTALLED_APPS, "brake"]
PAYMENTS_SANDBOX_NOTIFIER = True
PAYMENTS_SANDBOX_SECONDS = 0.1
DJANGO_HOOKFLOW_SWEEP_AFTER = 1
"""
LEDGER = "CREATE TABLE ledger (run_id text, step_id text, at text)"
STEPS = [f"step-{number}" for number in range(6)]

# Prints facts that are visible from inside.
LOOK = """\
import json, os, pathlib
def size(top):
    files = (path for path in pathlib.Path(top).rglob("*"))
    return sum(p.lstat().st_size for p in files if not p.is_dir())
def refused(path):
    try:
        pathlib.Path(path).write_text("x")
    except OSError as error:
        return type(error).__name__ + " " + str(error.errno)
    return ""
app = pathlib.Path("/app")
print(json.dumps({
    "user": [os.getuid(), os.getgid()],
    "refused": [refused("/app/x"), refused("/opt/venv/x"), refused("/etc/x")],
    "tmp": refused("/tmp/x"),
    "size": size("/app") + size("/opt/venv"),
    "files": sorted(str(p.relative_to(app)) for p in app.rglob("*")
                    if p.is_file() and "__pycache__" not in p.parts),
    "packages": sorted(p.name.split("-")[0] for p in
        pathlib.Path("/opt/venv").glob("lib/*/site-packages/*.dist-info")),
    "status": pathlib.Path("/proc/self/status").read_text(),
}))
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """Yield the image of the template's project, with secrets lying around."""
    context = tmp_path_factory.mktemp("context")
    for name in tracked_files(PROJECT):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, context / name)
    for name in SECRET_FILES:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(SECRET)
    made = builder()
    try:
        made.build_once(context)
        yield made
    finally:
        made.close()


def builder() -> Images:
    if Docker.answers():
        return Docker()
    if os.geteuid() == 0 and not images.missing():
        return Buildah()
    why = (
        "No Docker daemon answers, and building without one needs root and "
        f"{' and '.join(images.NEEDED)}: apt-get install them."
    )
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@dataclass
class Site:
    """The image's processes beside a PostgreSQL, all on this machine."""

    image: Images
    folder: Path
    database_url: str
    port: int
    qstash_port: int
    containers: list[Container] = field(default_factory=list)
    secrets: Mapping[str, str] = field(
        default_factory=lambda: {
            name: secrets.token_urlsafe(40)
            for name in (
                "DJANGO_SECRET_KEY",
                "PAYMENTS_API_KEY",
                "PAYMENTS_WEBHOOK_SECRET",
                "QSTASH_CURRENT_SIGNING_KEY",
                "QSTASH_NEXT_SIGNING_KEY",
                "QSTASH_TOKEN",
            )
        }
    )

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.secrets,
            "DATABASE_URL": self.database_url,
            "DJANGO_ALLOWED_HOSTS": HOST,
            "DJANGO_ALLOW_LOOPBACK": "True",
            "DJANGO_EMAIL_URL": "console:",
            "DJANGO_HOOKFLOW_DOMAIN": self.address,
            "DJANGO_SECURE_SSL_REDIRECT": "False",  # no proxy is in front
            "DJANGO_SETTINGS_MODULE": "settings_of_the_test",
            "HOOKFLOW_BRAKE": "/tmp/brake",
            "PAYMENTS_URL": f"{self.address}/sandbox",
            "PORT": str(self.port),
            "PYTHONPATH": "/tmp/extra",
            "QSTASH_URL": f"http://{HOST}:{self.qstash_port}",
            "WEB_CONCURRENCY": "1",
        }

    def start(self, name: str, *command: str) -> Container:
        made = self.image.start(
            self.folder / f"{name}.log",
            *command,
            environment=self.environment,
            mounts={
                self.folder / "extra": "/tmp/extra",
                self.folder / "brake": "/tmp/brake",
            },
        )
        self.containers.append(made)
        return made

    def run(self, *command: str) -> str:
        """Return what a command prints that ends by itself."""
        name = f"run-{len(self.containers)}"
        done = self.start(name, *command)
        assert done.wait() == 0, done.printed()
        return done.printed()

    def manage(self, *arguments: str) -> str:
        return self.run("python", "manage.py", *arguments)

    def start_web(self) -> Container:
        web = self.start("web")
        self.wait_for(lambda: self.get("/api/products/") is not None)
        return web

    def start_qstash(self) -> Container:
        qstash = self.start(
            "qstash", "python", "manage.py", "qstash_server",
            "--host", HOST, "--port", str(self.qstash_port),
        )  # fmt: skip
        self.wait_for(lambda: can_connect(self.qstash_port))
        return qstash

    def get(self, path: str) -> Any:
        return self.request(path)

    def request(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(self.address + path, data, headers)
        with DIRECT.open(request, timeout=60) as response:
            return json.load(response)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        psycopg = pytest.importorskip("psycopg")
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            found = connection.execute(sql)
            return list(found.fetchall()) if found.description else []

    def wait_for(
        self,
        fact: Callable[[], Any],
        meanwhile: Callable[[], Any] = lambda: None,
    ) -> None:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            with suppress(URLError, ConnectionError):
                if fact():
                    return
            meanwhile()
            time.sleep(0.1)
        raise AssertionError(f"It never came true.\n{self.logs()}")

    def logs(self) -> str:
        return "\n".join(
            f"--- {log.name}\n{log.read_text(encoding='utf-8')[-5000:]}"
            for log in sorted(self.folder.glob("*.log"))
        )

    def close(self) -> None:
        for container in self.containers:
            container.close()

    # The brake: django_hookflow/tests/http/brake in the project.

    def brake_at(self, statement: str) -> None:
        # In one move: of an empty file, every statement is the one.
        written = self.folder / "brake" / "at.new"
        written.write_text(statement)
        written.rename(self.folder / "brake" / "at")

    def wait_until_it_stands(self) -> None:
        self.wait_for((self.folder / "brake" / "stands").exists)

    def release(self) -> None:
        (self.folder / "brake" / "at").unlink()


@pytest.fixture
def site(image: Images, tmp_path: Path) -> Iterator[Site]:
    """Yield a migrated database and a few products; nothing runs yet."""
    extra = tmp_path / "extra"
    shutil.copytree(
        PROJECT / "django_hookflow" / "tests" / "http" / "brake",
        extra / "brake",
    )
    (extra / "settings_of_the_test.py").write_text(SETTINGS)
    (tmp_path / "brake").mkdir()
    (tmp_path / "brake").chmod(0o777)
    port, qstash_port, database_port = free_ports(3)
    with ExitStack() as held:
        url = held.enter_context(postgres(database_port))
        made = Site(image, tmp_path, url, port, qstash_port)
        held.callback(made.close)
        made.manage("migrate", "--no-input")
        made.manage("load_products")
        made.rows(LEDGER)
        yield made


def test_it_is_small_and_holds_what_serves_the_site_and_no_secret(
    image: Images, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = look(image, tmp_path)

    with capsys.disabled():
        megabytes = seen["size"] / 1e6
        sys.stdout.write(
            f"\nThe image has {megabytes:.0f} MB beside Python and Debian.\n"
        )
    assert seen["size"] < LARGEST
    collected = {f for f in seen["files"] if f.startswith("staticfiles/")}
    assert set(seen["files"]) - collected == what_serves_the_site()
    assert "staticfiles/staticfiles.json" in collected
    assert "staticfiles/orders/shop.css" in collected
    assert "gunicorn" in seen["packages"]
    assert not set(UNWANTED) & set(seen["packages"])


def test_it_runs_as_nobody_in_particular_and_writes_to_tmp_only(
    image: Images, tmp_path: Path
) -> None:
    seen = look(image, tmp_path)

    read_only = "OSError 30"
    assert image.config.user == "10001:10001"
    assert seen["user"] == [10001, 10001]
    assert seen["refused"] == [read_only] * 3
    assert seen["tmp"] == ""
    assert "NoNewPrivs:\t1" in seen["status"]
    assert "CapBnd:\t0000000000000000" in seen["status"]
    assert image.config.command == ["gunicorn", "config.wsgi"]
    assert image.config.health[:2] == ["CMD", "python"]
    assert image.config.stop_signal == "SIGTERM"


def test_an_order_is_fulfilled_and_a_stop_ends_with_the_step_under_way(
    site: Site,
) -> None:
    qstash = site.start_qstash()
    web = site.start_web()
    site.run(*site.image.config.health[1:])  # exits with 1 when unhealthy
    order = place_order(site)
    site.wait_for(lambda: status_of(site, order) == "fulfilled")

    # SIGTERM comes in the first of six steps, before it is recorded.
    site.brake_at("INSERT INTO ledger")
    trigger_ledger(site)
    site.wait_until_it_stands()
    with idle_connection(site) as ended:
        web.terminate()
        ended()  # the worker has received it
    assert web.is_running
    site.release()

    assert web.wait() == 0, web.printed()
    assert ledger(site) == (["step-0"], ["step-0"])
    assert site.rows(
        "SELECT status, lease_token FROM django_hookflow_workflowrun "
        "WHERE run_id = 'held'"
    ) == [("waiting", "")]

    # Another container continues after it, and runs no step again.
    again = site.start_web()
    site.wait_for(
        lambda: run_of(site) == "completed",
        lambda: site.manage("hookflow_sweep"),
    )
    assert ledger(site) == (STEPS, [*STEPS, "nap"])
    for container in (again, qstash):
        container.terminate()
        assert container.wait() == 0, container.printed()


def what_serves_the_site() -> set[str]:
    """Return exactly the files of the project that its image holds."""
    packages = (
        "config/", "core/", "django_hookflow/", "orders/", "payments_sandbox/",
        "qstash_server/", "temporal_app/",
    )  # fmt: skip
    return {
        name
        for name in tracked_files(PROJECT)
        if name.startswith(packages)
        and not name.endswith(".md")
        and "/tests/" not in name
    } | {"manage.py", "gunicorn.conf.py"}


def look(image: Images, folder: Path) -> dict[str, Any]:
    """Return what LOOK finds in a container."""
    log = folder / "look.log"
    looked = image.start(log, "python", "-c", LOOK, environment={})
    assert looked.wait() == 0, looked.printed()
    return dict(json.loads(looked.printed()))


def place_order(site: Site) -> str:
    order = site.request(
        "/api/orders/",
        {
            "email": "ada@example.com",
            "card_number": "4242 4242 4242 4242",
            "lines": [{"sku": "MUG-01", "quantity": 1}],
        },
    )
    return str(order["id"])


def status_of(site: Site, order: str) -> str:
    return str(site.get(f"/api/orders/{order}/")["status"])


def trigger_ledger(site: Site) -> None:
    site.manage(
        "shell", "-c",
        "from brake.workflows import ledger\n"
        "ledger.trigger(run_id='held')",
    )  # fmt: skip


def run_of(site: Site) -> str:
    ((status,),) = site.rows(
        "SELECT status FROM django_hookflow_workflowrun WHERE run_id = 'held'"
    )
    return str(status)


def ledger(site: Site) -> tuple[list[str], list[str]]:
    """Return the steps that were executed, each time, and those on record."""
    executed = site.rows("SELECT step_id FROM ledger ORDER BY at")
    recorded = site.rows(
        "SELECT step_id FROM django_hookflow_stepexecution e "
        "JOIN django_hookflow_workflowrun r ON r.id = e.workflow_run_id "
        "WHERE r.run_id = 'held' AND e.status = 'completed' ORDER BY step_id"
    )
    order = [*STEPS, "nap"]
    return (
        [step for (step,) in executed],
        sorted((step for (step,) in recorded), key=order.index),
    )


@contextmanager
def idle_connection(site: Site) -> Iterator[Callable[[], None]]:
    """Yield a connection kept alive; what is yielded waits for its other end.

    A worker that stops closes those at once, while requests continue.
    """
    connection = http.client.HTTPConnection(HOST, site.port, timeout=DEADLINE)
    connection.request("GET", "/api/products/")
    assert connection.getresponse().read()
    sock = connection.sock

    def ended() -> None:
        assert sock.recv(1) == b""

    try:
        yield ended
    finally:
        connection.close()


@contextmanager
def postgres(port: int) -> Iterator[str]:
    """Yield the project's own PostgreSQL, at a port instead of a socket."""
    script = postgres_script()
    flags = script.FLAGS.replace("-h ''", f"-h {HOST} -p {port}")
    with script.postgres(flags):
        yield f"postgres://postgres@{HOST}:{port}/postgres"


def can_connect(port: int) -> bool:
    with socket.create_connection((HOST, port), timeout=1):
        return True
