"""Cloud Run: one secret with all variables, and its database."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from config.environment import database
from config.environment import env

from .hosts import PROJECT
from .hosts import cloud_run
from .hosts import read


def test_cloud_run_is_a_service_with_its_variables_in_one_file() -> None:
    file: Any = yaml.safe_load(read("cloudrun.yaml"))
    spec = file["spec"]["template"]["spec"]
    [container] = spec["containers"]
    [volume], [mount] = spec["volumes"], container["volumeMounts"]
    given = cloud_run().given

    [item] = volume["secret"]["items"]
    threads = int(given["WEB_CONCURRENCY"]) * int(given["WEB_THREADS"])

    assert (file["apiVersion"], file["kind"]) == (
        "serving.knative.dev/v1",
        "Service",
    )
    assert mount["name"] == volume["name"]
    assert given["DJANGO_ENV_FILE"] == f"{mount['mountPath']}/{item['path']}"
    assert spec["containerConcurrency"] == threads


def test_an_address_of_cloud_sql_is_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = (PROJECT / "docs/deployment/serverless.md").read_text("utf-8")
    url = re.search(r"^DATABASE_URL=(.*%2Fcloudsql.*)$", page, re.MULTILINE)
    assert url is not None
    monkeypatch.setenv("DATABASE_URL", url[1])
    monkeypatch.setattr(env, "_sealed", False)

    found = database("sqlite://")

    assert found["HOST"] == "/cloudsql/your-project:europe-west1:shop"
    assert (found["NAME"], found["USER"]) == ("shop", "shop")
