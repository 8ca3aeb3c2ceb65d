"""The contents of each deploy file, in one form."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from config.environment import BASE_DIR as PROJECT

DEPLOY = PROJECT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
SYSTEMD = DEPLOY / "systemd"
OWN_UNITS = Path("/usr/lib/systemd/system")  # targets that ours name

# What scripts/deploy_env.py writes, and the host or a person adds.
IMPORTED = "scripts/deploy_env.py"


@dataclass(frozen=True)
class Host:
    """`given` has a value in the file, `asked` is to be set beside it.

    `imported`: the variables of scripts/deploy_env.py are set as well.
    `grace`: the seconds between SIGTERM and SIGKILL.
    """

    name: str
    given: Mapping[str, str]
    asked: frozenset[str]
    commands: tuple[str, ...]
    probes: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset()
    grace: int | None = None
    imported: bool = False


def hosts() -> list[Host]:
    """Of those files that are there: owners delete what they do not use."""
    readers = {
        DEPLOY / "fly.toml": fly,
        DEPLOY / "render.yaml": render,
        DEPLOY / "railway.ts": railway,
        PROJECT / "Procfile": heroku,
        SYSTEMD: systemd,
        KUBERNETES: kubernetes,
        DEPLOY / "cloudrun.yaml": cloud_run,
    }
    return [reader() for path, reader in readers.items() if path.exists()]


def fly() -> Host:
    file = tomllib.loads(read("fly.toml"))
    service = file["http_service"]
    return Host(
        "fly.toml",
        file["env"],
        frozenset({"DATABASE_URL"}),
        (file["deploy"]["release_command"],),
        frozenset(check["path"] for check in service["checks"]),
        frozenset({service["internal_port"], int(file["env"]["PORT"])}),
        file["kill_timeout"],
        imported=True,
    )


def render() -> Host:
    file = yaml.safe_load(read("render.yaml"))
    [site] = file["services"]
    entries = {one["key"]: one for one in site["envVars"]}
    given = {name: e["value"] for name, e in entries.items() if "value" in e}
    return Host(
        "render.yaml",
        given,
        frozenset(entries) - frozenset(given),
        (site["preDeployCommand"],),
        frozenset({site["healthCheckPath"]}),
        frozenset({int(given["PORT"])}),
        site["maxShutdownDelaySeconds"],
    )


def railway() -> Host:
    text = read("railway.ts")
    entries = dict(re.findall(r"^ {6}([A-Z_]+): (.+),$", text, re.MULTILINE))
    given = {
        name: json.loads(value)
        for name, value in entries.items()
        if value.startswith('"')
    }
    word = dict(re.findall(r'(\w+): "([^"]+)",$', text, re.MULTILINE))
    number = dict(re.findall(r"(\w+): (\d+),$", text, re.MULTILINE))
    return Host(
        "railway.ts",
        given,
        frozenset(entries) - frozenset(given),
        (word["start"], word["preDeploy"]),
        frozenset({word["healthcheck"]}),
        frozenset({int(given["PORT"])}),
        int(number["drainingSeconds"]),
    )


def heroku() -> Host:
    lines = (PROJECT / "Procfile").read_text("utf-8").splitlines()
    processes = dict(line.split(": ", 1) for line in lines)
    assert set(processes) == {"web", "release", "sweeper"}
    return Host(
        "Procfile",
        {},
        frozenset({"DATABASE_URL", "PORT"}),
        tuple(processes.values()),
        grace=30,  # Heroku's own; it cannot be set
        imported=True,
    )


def systemd() -> Host:
    site = unit("shop.service")["Service"]
    release = unit("shop-release.service")["Service"]
    return Host(
        "systemd",
        dict(line.split("=", 1) for line in site["Environment"]),
        frozenset({"DATABASE_URL"}),
        (
            site["ExecStart"][0].replace("/srv/shop/.venv/bin/", ""),
            release["ExecStart"][0].replace("/srv/shop/.venv/bin/", ""),
        ),
        grace=int(site["TimeoutStopSec"][0]),
        imported=True,
    )


def kubernetes() -> Host:
    pods = [site_pod(), objects("migrate.yaml")["Job"]["spec"]["template"]]
    [site, release] = [pod["spec"]["containers"][0] for pod in pods]
    spec = pods[0]["spec"]
    asked = re.findall(
        r"^#   ([A-Z_ ]+)$", read("kubernetes/config.yaml"), re.MULTILINE
    )
    return Host(
        "kubernetes",
        objects("config.yaml")["ConfigMap"]["data"],
        frozenset(" ".join(asked).split()),
        (shlex.join(release["command"]),),
        frozenset(probes_of(site)),
        frozenset(port["containerPort"] for port in site["ports"]),
        spec["terminationGracePeriodSeconds"]
        - site["lifecycle"]["preStop"]["sleep"]["seconds"],
    )


def cloud_run() -> Host:
    pod = yaml.safe_load(read("cloudrun.yaml"))["spec"]["template"]
    [site] = pod["spec"]["containers"]
    return Host(
        "cloudrun.yaml",
        {one["name"]: one["value"] for one in site["env"]},
        frozenset({"DATABASE_URL"}),
        (),
        frozenset(probes_of(site)),
        frozenset(port["containerPort"] for port in site["ports"]),
        imported=True,
    )


def site_pod() -> Any:
    return objects("web.yaml")["Deployment"]["spec"]["template"]


def probes_of(container: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        if kind in container:
            yield container[kind]["httpGet"]["path"]


def objects(name: str) -> dict[str, Any]:
    """Return the objects of a Kubernetes file, by their kind."""
    found = yaml.safe_load_all((KUBERNETES / name).read_text("utf-8"))
    return {one["kind"]: one for one in found}


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    """Return the sections of a systemd unit; a key may come more than once."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    text = (SYSTEMD / name).read_text("utf-8")
    parser.read_string(text)
    return {
        section: {
            key: re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)
            for key in parser[section]
        }
        for section in parser.sections()
    }


def read(name: str) -> str:
    return (DEPLOY / name).read_text("utf-8")


def install_units(root: Path, units: Iterable[Path]) -> None:
    """Make `root` a machine with systemd's own units and these."""
    shutil.copytree(
        OWN_UNITS,
        root / OWN_UNITS.relative_to("/"),
        symlinks=True,
        ignore_dangling_symlinks=True,
    )
    etc = root / "etc/systemd/system"
    etc.mkdir(parents=True)
    for unit in units:
        shutil.copy(unit, etc)
