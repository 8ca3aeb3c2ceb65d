"""The lab: one PostgreSQL, a database for each contender."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import psycopg

from benchmarks import serving
from benchmarks.contender import PROJECT
from benchmarks.contender import ROOT
from benchmarks.contender import Contender
from benchmarks.contenders.wire import MARKS
from benchmarks.peers import PEERS
from benchmarks.peers import Peer
from benchmarks.sizes import Sizes

BUILD = ROOT / ".build"
POSTGRES = "PostgreSQL"
SQLITE = "SQLite"
OURS = "hookflow"
LIMIT = "limit"

# A step on SQLite takes a tenth of the time, so a round of them has more: some
# hundred milliseconds, which hold several checkpoints.
AS_OFTEN = {POSTGRES: 1, SQLITE: 5}

# Its default durability: fsync, full_page_writes and synchronous_commit on.
FLAGS = "-c max_connections=200 -h ''"


class Lab:
    """Contenders by name, started when they are first asked for."""

    def __init__(
        self, sizes: Sizes, server: str, say: Callable[[str], None]
    ) -> None:
        self.sizes = sizes
        self.say = say
        self.skipped: list[str] = []
        self.scratch = Path(tempfile.mkdtemp(prefix="bench-"))
        self._server = server
        self._contenders: dict[tuple[str, str], Contender] = {}

    def close(self) -> None:
        self.stop_contenders()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def stop_contenders(self) -> None:
        """Stop the contenders; the next question starts one."""
        while self._contenders:
            self._contenders.popitem()[1].close()

    def limit(self, vendor: str = POSTGRES) -> float:
        """Return the seconds of an INSERT and COMMIT by the raw driver."""
        commits = self.sizes.limit * AS_OFTEN[vendor]
        contender = self._contender(
            LIMIT, vendor, "benchmarks.contenders.limit", sys.executable
        )
        self.say("raw limit")
        contender.ask("commits", count=commits // 10)  # to be warm
        return float(contender.ask("commits", count=commits)) / commits

    def ours(self, vendor: str = POSTGRES) -> Contender:
        self.say(f"{OURS}, {vendor}")
        return self._contender(
            OURS, vendor, "benchmarks.contenders.ours", sys.executable
        )

    @contextmanager
    def site(self, workers: int) -> Iterator[tuple[Contender, str]]:
        """Serve ours by gunicorn and the embedded server; yield the marks."""
        self.say(f"{OURS}, gunicorn with {workers} workers")
        marks = str(self.scratch / "marks")
        variables = self.variables(OURS, POSTGRES) | serving.addresses()
        variables[MARKS] = marks
        contender = Contender(
            f"{OURS} over HTTP",
            "benchmarks.contenders.ours",
            python=sys.executable,
            variables=variables,
            log=self.scratch / "log",
        )
        try:
            contender.ask("ready")
            with serving.serving(variables, workers, self.scratch / "log"):
                yield contender, marks
        finally:
            contender.close()

    def peers(self) -> Iterator[Peer]:
        """Yield those that can run here; the others leave a sentence.

        Each is stopped when the next is asked for: an idle one polls.
        """
        if not self.sizes.peers:
            return
        for peer in PEERS:
            if why := peer.lacks():
                self.skip(why)
            else:
                yield peer
                self._stop(peer.name)

    def peer(self, peer: Peer) -> Contender:
        self.say(peer.name)
        return self._contender(
            peer.name, POSTGRES, peer.module, self._environment(peer)
        )

    def skip(self, *sentences: str) -> None:
        """Say in the report what was not measured, and why."""
        self.skipped.extend(s for s in sentences if s not in self.skipped)

    def variables(self, who: str, vendor: str) -> dict[str, str]:
        """Return the variables of a contender: its own empty database."""
        name = re.sub(r"\W+", "_", f"bench_{who}").lower()
        url = (
            f"sqlite:///{self.scratch / name}.sqlite3"
            if vendor == SQLITE
            else self.database(name)
        )
        return {
            "BENCH_DATABASE": libpq(url),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(ROOT),
            **(project(url) if who == OURS else {}),
        }

    def database(self, name: str) -> str:
        """Return the URL of a database of this name, made if it is missing."""
        with psycopg.connect(libpq(self._server), autocommit=True) as admin:
            there = admin.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [name]
            ).fetchone()
            if not there:
                admin.execute(f'CREATE DATABASE "{name}"')
        return self._server.rsplit("/", 1)[0] + f"/{name}"

    def postgres_version(self) -> str:
        with psycopg.connect(libpq(self._server)) as connection:
            shown = connection.execute("SHOW server_version").fetchone()
        return str(shown[0]) if shown else ""

    def _stop(self, who: str) -> None:
        if contender := self._contenders.pop((who, POSTGRES), None):
            contender.close()

    def _contender(
        self, who: str, vendor: str, module: str, python: str
    ) -> Contender:
        key = (who, vendor)
        if key not in self._contenders:
            contender = Contender(
                f"{who} on {vendor}",
                module,
                python=python,
                variables=self.variables(who, vendor),
                log=self.scratch / "log",
            )
            self._contenders[key] = contender
        return self._contenders[key]

    def _environment(self, peer: Peer) -> str:
        """Return the Python of a peer's environment under .build/."""
        folder = BUILD / "peers" / peer.module.rsplit("_", 1)[-1]
        python = folder / "bin" / "python"
        stamp = folder / "installed"
        wanted = "\n".join(peer.packages)
        if not stamp.exists() or stamp.read_text() != wanted:
            self.say(f"installing {peer.name}")
            uv = os.environ.get("UV") or "uv"
            for command in (
                [uv, "venv", "-q", "--clear", "--python", sys.executable,
                 str(folder)],
                [uv, "pip", "install", "-q", "--python", str(python),
                 *peer.packages],
            ):  # fmt: skip
                subprocess.run(command, check=True)
            stamp.write_text(wanted)
        return str(python)


def project(url: str) -> dict[str, str]:
    """Return what the template's project reads; no peer sees its packages."""
    return {
        "DATABASE_URL": url,
        "DJANGO_ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "benchmarks.project.settings",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(PROJECT)]),
    }


@contextmanager
def lab(sizes: Sizes, say: Callable[[str], None]) -> Iterator[Lab]:
    """Yield a lab with a PostgreSQL of its own, deleted afterwards."""
    with postgres_script().postgres(FLAGS) as server:
        made = Lab(sizes, server, say)
        try:
            yield made
        finally:
            made.close()


def postgres_script() -> ModuleType:
    """Return the project's own script: what its tests run on, and no other."""
    path = PROJECT / "scripts" / "with_postgres.py"
    spec = importlib.util.spec_from_file_location("with_postgres", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their types up
    spec.loader.exec_module(module)
    return module


def libpq(url: str) -> str:
    """Return a URL with its socket's folder as the host."""
    if url.startswith("sqlite"):
        return url
    user, rest = url.split("://", 1)[1].split("@", 1)
    host, name = rest.split("/", 1)
    return f"postgresql://{user}@/{name}?host={unquote(host)}"
