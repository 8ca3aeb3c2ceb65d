"""The tables, queries and alerts are those of the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import yaml
from prometheus_client.registry import Collector
from pytest_django import Settings

from django_hookflow.contrib.observability import exposition
from django_hookflow.contrib.observability import logs
from django_hookflow.contrib.observability import metrics
from django_hookflow.contrib.observability.tests.document import DOCUMENT
from django_hookflow.contrib.observability.tests.document import PROJECT
from django_hookflow.contrib.observability.tests.document import blocks
from django_hookflow.contrib.observability.tests.document import first_column

ALERTS = PROJECT / "deploy" / "prometheus" / "alerts.yaml"


def names(collector: Collector) -> Iterator[str]:
    """A counter is a family of its name without the _total."""
    for family in collector.collect():
        suffix = "_total" if family.type == "counter" else ""
        yield family.name + suffix


@pytest.fixture
def known(settings: Settings) -> set[str]:
    settings.DJANGO_METRICS_CACHE = 0
    exposition.forget()
    return {*names(metrics.REGISTRY), *names(exposition.Rows())}


def test_the_table_names_every_metric(known: set[str]) -> None:
    assert set(first_column(DOCUMENT, "Metric | Labels")) == known


def test_queries_and_alerts_ask_for_metrics_that_are(known: set[str]) -> None:
    queries = [*blocks(DOCUMENT, "promql"), *expressions()]

    asked = {
        name.removesuffix("_bucket")
        for query in queries
        for name in re.findall(r"\bhookflow_\w+", query)
    }

    assert asked
    assert asked <= known


def test_every_alert_has_its_advice() -> None:
    alerts = [rule["alert"] for rule in rules()]

    assert alerts == first_column(DOCUMENT, "Alert | What to do")


def test_the_line_of_the_log_has_the_fields_of_the_table() -> None:
    (example,) = blocks(DOCUMENT, "json")
    fields = first_column(DOCUMENT, "Field | Meaning")

    assert set(json.loads(example)) <= set(fields)
    assert set(logs.IDS) <= set(fields)


def expressions() -> list[str]:
    return [rule["expr"] for rule in rules()]


def rules() -> list[dict[str, str]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]
