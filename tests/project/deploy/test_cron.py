"""The files that start the sweeper and the cleanup; each line is run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from qstash_server import cron
from scripts.setup_env import fresh_secrets

from .hosts import PROJECT
from .hosts import install_units
from .hosts import site_pod
from .test_systemd import EXPOSURE
from .test_systemd import analyze

CRON = PROJECT / "deploy" / "cron"
UNITS = CRON / "systemd"
SERVICES = ("shop-sweep.service", "shop-cleanup.service")
TIMERS = ("shop-sweep.timer", "shop-cleanup.timer")

SECRETS = "/etc/shop/production.env"
SWEPT = ""
CLEANED = (
    r"Deleted 0 runs finished before \d{4}-\d\d-\d\d \d\d:\d\d UTC\.\n"
    r"Deleted 0 events that no run waited for\.\n"
    r"Deleted 0 dead letters already replayed\.\n"
)
SAYS = {"hookflow_sweep": SWEPT, "cleanup_workflows": CLEANED}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a production.env, and a migrated database that it names."""
    folder = tmp_path_factory.mktemp("machine")
    variables = fresh_secrets() | {
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "DJANGO_ALLOW_SQLITE": "True",
        "DJANGO_ALLOW_LOOPBACK": "True",
        "DJANGO_ALLOWED_HOSTS": "shop.example.com",
        "DJANGO_EMAIL_URL": "console:",
        "DJANGO_HOOKFLOW_DOMAIN": "https://shop.example.com",
        "PAYMENTS_URL": "https://shop.example.com/sandbox",
        "QSTASH_URL": "http://127.0.0.1:1",
    }
    file = folder / "production.env"
    file.write_text("".join(f"{k}={v}\n" for k, v in variables.items()))
    done = run(
        file,
        [sys.executable, "manage.py", "migrate", "--no-input"],
        {"DJANGO_SETTINGS_MODULE": "config.settings.production"},
    )
    assert done.returncode == 0, done.stderr
    return file


def run(
    file: Path, command: list[str], variables: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Return a command as a machine with that file starts it, with no more."""
    return subprocess.run(
        command,
        cwd=PROJECT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            **variables,
            "DJANGO_ENV_FILE": str(file),
        },
        capture_output=True,
        text=True,
    )


def assert_that_it_works(
    done: subprocess.CompletedProcess[str], line: str
) -> None:
    name = re.search(r"manage\.py (\w+)", line)
    assert name is not None
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(SAYS[name[1]], done.stdout)


def crontab() -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Return the variables, and each line's time, user and command."""
    text = (CRON / "crontab").read_text("utf-8")
    lines = [x for x in text.splitlines() if x and not x.startswith("#")]
    variables = dict(x.split("=", 1) for x in lines if " " not in x)
    jobs = [x.split(maxsplit=6) for x in lines if " " in x]
    return variables, [(" ".join(x[:5]), x[5], x[6]) for x in jobs]


@pytest.mark.parametrize("number", [0, 1])
def test_each_line_of_the_crontab_works(machine: Path, number: int) -> None:
    variables, jobs = crontab()
    time, user, command = jobs[number]

    here = command.replace(SECRETS, shlex.quote(str(machine)))
    here = here.replace("/srv/shop", shlex.quote(str(PROJECT)))
    here = here.replace(".venv/bin/python", shlex.quote(sys.executable))
    done = run(machine, [variables["SHELL"], "-c", here], variables)

    cron.parse(time)
    assert (user, len(jobs)) == ("shop", 2)
    assert_that_it_works(done, command)


def test_the_pages_say_the_same_of_the_free_plan() -> None:
    said = [
        re.findall(r'--sweep-cron "([^"]+)"', path.read_text("utf-8"))
        for path in (
            PROJECT / "docs/deployment.md",
            PROJECT / "docs/retention.md",
        )
    ]

    assert said == [["*/10 * * * *"], ["*/10 * * * *"]]


def test_nobody_else_can_hold_the_lock_of_the_sweep() -> None:
    page = (PROJECT / "docs/deployment/systemd.md").read_text("utf-8")
    [lock] = re.findall(r"flock --nonblock (\S+)", str(crontab()))

    assert lock == SECRETS
    assert f"sudo install -m 640 -o root -g shop ~/production.env {lock}" in (
        page
    )


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_works(machine: Path, name: str) -> None:
    [line] = values(UNITS / name, "ExecStart")
    variables = dict(
        one.split("=", 1) for one in values(UNITS / name, "Environment")
    )

    _, *arguments = shlex.split(line)
    done = run(machine, [sys.executable, *arguments], variables)

    assert line.startswith("/srv/shop/.venv/bin/python manage.py ")
    assert_that_it_works(done, line)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a machine on which the units were installed."""
    install_units(tmp_path, (UNITS / name for name in (*SERVICES, *TIMERS)))
    python = tmp_path / "srv/shop/.venv/bin/python"
    python.parent.mkdir(parents=True)
    python.touch(0o755)
    return tmp_path


def test_systemd_finds_nothing_wrong_with_the_timers(root: Path) -> None:
    done = analyze(root, "--man=no", "verify", *SERVICES, *TIMERS)

    assert [line for line in done.stderr.splitlines() if "shop" in line] == []
    assert done.returncode == 0


@pytest.mark.parametrize("name", SERVICES)
def test_the_services_of_the_timers_are_open_to_little(
    root: Path, name: str
) -> None:
    done = analyze(root, "security", "--offline=yes", "--no-pager", name)

    level = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)

    assert level is not None, done.stderr
    assert float(level[1]) <= EXPOSURE


@pytest.mark.parametrize("name", TIMERS)
def test_systemd_reads_the_times(name: str) -> None:
    [time] = values(UNITS / name, "OnCalendar")

    done = subprocess.run(["systemd-analyze", "calendar", time])

    assert done.returncode == 0


def test_what_cron_starts_runs_as_the_release_step_does() -> None:
    release = PROJECT / "deploy" / "systemd" / "shop-release.service"
    ours = {"Description", "Wants", "After", "ExecStart", "TimeoutStartSec"}

    for name in SERVICES:
        assert settings(UNITS / name, ours) == settings(release, ours)


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_kubernetes_takes_the_cron_jobs(version: str) -> None:
    for job in cron_jobs():
        kubernetes_validate.validate(job, version, strict=True)


@pytest.mark.parametrize("number", [0, 1])
def test_each_cron_job_works(machine: Path, number: int) -> None:
    job = cron_jobs()[number]
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [container] = pod["containers"]

    python, *arguments = container["command"]
    done = run(
        machine,
        [sys.executable, *arguments],
        {"DJANGO_SETTINGS_MODULE": "config.settings.production"},
    )

    cron.parse(job["spec"]["schedule"])
    assert python == "python"
    assert_that_it_works(done, " ".join(arguments))


def test_the_pods_of_cron_jobs_may_do_what_those_of_the_site_may() -> None:
    site = site_pod()["spec"]
    [web] = site["containers"]

    for job in cron_jobs():
        pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        [container] = pod["containers"]
        for name in (
            "automountServiceAccountToken", "securityContext", "volumes",
        ):  # fmt: skip
            assert pod[name] == site[name]
        for name in ("image", "envFrom", "securityContext", "volumeMounts"):
            assert container[name] == web[name]


def cron_jobs() -> list[dict[str, Any]]:
    text = (CRON / "kubernetes.yaml").read_text("utf-8")
    return list(yaml.safe_load_all(text))


def values(unit: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit.read_text("utf-8"), re.M)


def settings(unit: Path, without: set[str]) -> list[str]:
    """Return the lines of a unit that set something."""
    return [
        line
        for line in unit.read_text("utf-8").splitlines()
        if "=" in line
        and not line.startswith("#")
        and line.split("=")[0] not in without
    ]
