"""Render knows what its Blueprint says."""

from __future__ import annotations

import yaml
from config.variables import VARIABLES

from .hosts import PROJECT
from .hosts import read


def test_render_knows_each_key() -> None:
    """As https://render.com/docs/blueprint-spec had them, 2026-08."""
    file = yaml.safe_load(read("render.yaml"))
    [site] = file["services"]
    [made] = file["databases"]

    assert set(file) == {"databases", "services"}
    assert set(site) <= {
        "type", "name", "runtime", "dockerfilePath", "dockerContext", "plan",
        "region", "numInstances", "preDeployCommand", "healthCheckPath",
        "maxShutdownDelaySeconds", "envVars",
    }  # fmt: skip
    assert set(made) <= {
        "name", "plan", "region", "postgresMajorVersion", "ipAllowList",
    }  # fmt: skip
    assert site["region"] == made["region"]
    assert 1 <= site["maxShutdownDelaySeconds"] <= 300
    assert made["postgresMajorVersion"] == "18"


def test_render_fills_or_asks_for_each_variable() -> None:
    [site] = yaml.safe_load(read("render.yaml"))["services"]

    for entry in site["envVars"]:
        name, rest = entry.pop("key"), entry
        [(way, value)] = rest.items()
        if VARIABLES[name].secret:
            assert way in {"sync", "generateValue", "fromDatabase"}, name
        if way == "sync":
            assert value is False
        if way == "fromDatabase":
            assert value == {
                "name": "shop-db",
                "property": "connectionString",
            }


def test_render_builds_the_dockerfile_there_is() -> None:
    [site] = yaml.safe_load(read("render.yaml"))["services"]

    assert (PROJECT / site["dockerfilePath"]).is_file()
    assert (PROJECT / site["dockerContext"]).resolve() == PROJECT
