"""Images built and run for real, without a registry if need be.

Docker does both where its daemon answers. Elsewhere buildah builds, on a
stand-in for the official Python image: a minimal Debian made by debootstrap,
with the Python that runs the tests in /usr/local. What is built is then run
as Docker would run it hardened: from a read-only root with a fresh /tmp, as
the image's user, as process 1, without capabilities.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from abc import ABC
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any

from clean_copy import REPOSITORY

CACHE = REPOSITORY / ".build" / "images"
NAME = "localhost/hookflow-test"
BASE = "docker.io/library/python"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
GRACE = 120  # seconds for a process to end after SIGTERM
NEEDED = ("buildah", "debootstrap")
CERTIFICATES = "/etc/ssl/certs"

# What is not needed of a Python to be the stand-in.
LEFT_OUT = ("test", "tests", "idlelib", "*.a", "__pycache__", "site-packages")

# Reads: root, user, group, directory, mounts ("host:inside" below /tmp, which
# is empty), "--", environment, "--", command.
RUNNER = """
set -eu
root=$1 user=$2 group=$3 directory=$4; shift 4
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
while [ "$1" != -- ]; do
  mkdir "$root${1#*:}"
  mount --bind "${1%%:*}" "$root${1#*:}"
  shift
done
shift
mount -o remount,bind,ro "$root"
exec chroot "$root" setpriv --reuid="$user" --regid="$group" --clear-groups \\
  --no-new-privs --inh-caps=-all --bounding-set=-all \\
  env -i -C "$directory" "$@"
"""


@dataclass(frozen=True)
class Config:
    """The part of a Dockerfile about running the image."""

    user: str
    command: list[str]
    directory: str
    stop_signal: str
    health: list[str]  # "CMD" and the words of the command
    environment: dict[str, str]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Config:
        return cls(
            user=config["User"],
            command=config["Cmd"],
            directory=config["WorkingDir"],
            stop_signal=config.get("StopSignal", ""),
            health=config["Healthcheck"]["Test"],
            environment=dict(
                item.split("=", 1) for item in config["Env"] or []
            ),
        )


@dataclass
class Container:
    """A process of an image, and what it printed."""

    process: subprocess.Popen[bytes]
    log: Path

    def terminate(self) -> None:
        """Send SIGTERM to the process with the number 1."""
        for child in children_of(self.process.pid):
            os.kill(child, signal.SIGTERM)

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def wait(self) -> int:
        """Return the exit status, when it has ended by itself."""
        return self.process.wait(GRACE)

    def close(self) -> None:
        """Kill it with SIGKILL, if it still runs."""
        if self.is_running:
            for child in children_of(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self.process.kill()
        self.process.wait()

    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


class Images(ABC):
    """Builds one image, and runs it."""

    def build_once(self, context: Path) -> None:
        """Build the Dockerfile of `context`, once for all xdist workers."""
        own = f"process {os.getpid()}"
        test_run = os.environ.get("PYTEST_XDIST_TESTRUNUID", own)
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / "built-for").open("a+", encoding="utf-8") as built_for:
            fcntl.flock(built_for, fcntl.LOCK_EX)
            built_for.seek(0)
            if built_for.read() != test_run:
                self.clear()
                self.build(context)
                built_for.truncate(0)
                built_for.write(test_run)
        self.prepare()

    @abstractmethod
    def build(self, context: Path) -> None:
        """Build the Dockerfile of `context`."""

    @abstractmethod
    def clear(self) -> None:
        """Remove what earlier runs of the tests have built."""

    @abstractmethod
    def prepare(self) -> None:
        """Do what each process must do to run containers."""

    @property
    @abstractmethod
    def config(self) -> Config:
        """Return what the image says about how to run it."""

    @abstractmethod
    def start(
        self,
        log: Path,
        *command: str,
        environment: Mapping[str, str],
        mounts: Mapping[Path, str] | None = None,
    ) -> Container:
        """Run it with the network of this machine.

        Without a `command` that of the image. `mounts` are directories of
        this machine and where they are then, below /tmp.
        """

    @abstractmethod
    def close(self) -> None:
        """Remove what `prepare` made."""


@dataclass
class Docker(Images):
    started: int = 0

    @staticmethod
    def answers() -> bool:
        return shutil.which("docker") is not None and (
            subprocess.run(["docker", "info"], capture_output=True).returncode
            == 0
        )

    def build(self, context: Path) -> None:
        run("docker", "build", "--quiet", "--tag", NAME, str(context))

    @cached_property
    def config(self) -> Config:
        found = json.loads(run("docker", "image", "inspect", NAME))
        return Config.of(found[0]["Config"])

    def start(
        self,
        log: Path,
        *command: str,
        environment: Mapping[str, str],
        mounts: Mapping[Path, str] | None = None,
    ) -> Container:
        self.started += 1
        name = f"hookflow-test-{os.getpid()}-{self.started}"
        words = [
            "docker", "run", "--rm", "--name", name, "--network", "host",
            "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges",
            *(f"--env={k}={v}" for k, v in environment.items()),
            *(f"--volume={k}:{v}" for k, v in (mounts or {}).items()),
            NAME, *command,
        ]  # fmt: skip
        return InDocker(begin(words, log), log, name)

    def clear(self) -> None:
        run("docker", "image", "rm", "--force", NAME)

    def prepare(self) -> None:
        """Do nothing: the daemon needs none of it."""

    def close(self) -> None:
        """Nor did it leave anything."""


@dataclass
class InDocker(Container):
    name: str

    def terminate(self) -> None:
        run("docker", "kill", "--signal", "TERM", self.name)

    def close(self) -> None:
        if self.is_running:
            subprocess.run(
                ["docker", "rm", "--force", self.name], capture_output=True
            )
        self.process.wait()


@dataclass
class Buildah(Images):
    cache: Path = CACHE
    container: str = ""
    _tool: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._tool = [
            "buildah", "--root", str(self.cache / "storage"),
            "--runroot", str(self.cache / "run"), "--storage-driver", "vfs",
        ]  # fmt: skip

    def buildah(self, *words: str) -> str:
        return run(*self._tool, *words, BUILDAH_ISOLATION="chroot")

    def build(self, context: Path) -> None:
        self._make_stand_in()
        self.buildah(
            "bud", "--format", "docker", "--pull-never", "--network", "host",
            "--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro",
            "--build-arg", f"PYTHON_VERSION={VERSION}",
            "--tag", NAME, *pip_conf(), str(context),
        )  # fmt: skip

    def clear(self) -> None:
        self.buildah("rm", "--all")
        self.buildah("rmi", "--prune", "--force")

    def prepare(self) -> None:
        self.container = self.buildah("from", "--pull-never", NAME).strip()

    @cached_property
    def config(self) -> Config:
        found = json.loads(self.buildah("inspect", "--type", "image", NAME))
        return Config.of(found["Docker"]["config"])

    @cached_property
    def root(self) -> Path:
        """Return the image's file system; every container has it read-only."""
        return Path(self.buildah("mount", self.container).strip())

    def start(
        self,
        log: Path,
        *command: str,
        environment: Mapping[str, str],
        mounts: Mapping[Path, str] | None = None,
    ) -> Container:
        user, _, group = self.config.user.partition(":")
        words = [
            "unshare", "--mount", "--pid", "--fork", "--kill-child",
            "--propagation", "private",
            "sh", "-c", RUNNER, "sh",
            str(self.root), user, group, self.config.directory,
            *(f"{here}:{there}" for here, there in (mounts or {}).items()),
            "--",
            *assignments(self.config.environment | dict(environment)),
            *(command or self.config.command),
        ]  # fmt: skip
        return Container(begin(words, log), log)

    def close(self) -> None:
        if self.container:
            self.buildah("rm", self.container)

    def _make_stand_in(self) -> None:
        image = f"{BASE}:{VERSION}-slim"
        known = self.buildah("images", "--format", "{{.Name}}:{{.Tag}}")
        if image in known.split():
            return
        made = self.buildah("from", "scratch").strip()
        root = Path(self.buildah("mount", made).strip())
        debian(root)
        add_python(root)
        path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.buildah("config", "--env", f"PATH={path}", made)
        self.buildah("commit", "--quiet", "--rm", made, image)


def debian(root: Path) -> None:
    """The smallest Debian that this machine's Python can run in.

    Debian's own Python brings the libraries that another one is linked to.
    """
    sources = "".join(
        file.read_text()
        for file in Path("/etc/apt").rglob("*")
        if file.suffix in {".sources", ".list"}
    )
    mirror = re.search(r"^(?:URIs:|deb(?: \[.*?\])?) *(\S+)", sources, re.M)
    assert mirror is not None, "apt knows no mirror."
    release = Path("/etc/os-release").read_text()
    suite = re.search(r"^VERSION_CODENAME=(\w+)", release, re.M)
    assert suite is not None, release
    run(
        "debootstrap", "--variant=minbase",
        "--include=ca-certificates,python3,python3-venv",
        suite[1], str(root), mirror[1],
    )  # fmt: skip
    shutil.rmtree(root / "var" / "cache" / "apt")


def add_python(root: Path) -> None:
    """The Python that runs this, at the place of the official image."""
    bin_ = root / "usr" / "local" / "bin"
    if Path(sys.base_prefix) == Path("/usr"):
        (bin_ / "python").symlink_to("/usr/bin/python3")
        return
    shutil.copytree(
        sys.base_prefix,
        root / "usr" / "local",
        symlinks=True,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(*LEFT_OUT),
    )
    with suppress(FileExistsError):
        (bin_ / "python").symlink_to("python3")
    run("chroot", str(root), "ldconfig")


def missing() -> list[str]:
    """Return what must be installed to build without Docker."""
    return [tool for tool in NEEDED if shutil.which(tool) is None]


def pip_conf() -> list[str]:
    """This machine's package index, for the build only."""
    if not Path("/etc/pip.conf").exists():
        return []
    return ["--secret", "id=pip,src=/etc/pip.conf"]


def assignments(environment: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in environment.items()]


def children_of(pid: int) -> list[int]:
    with suppress(FileNotFoundError):
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in listed.split()]
    return []


def begin(words: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip


def run(*words: str, **variables: str) -> str:
    """Return the output of a command, also of one that fails."""
    done = subprocess.run(
        words, env=os.environ | variables, stdin=subprocess.DEVNULL,
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(
            f"{words[0]} failed with {done.returncode}.\n"
            f"{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
        )
    return done.stdout
