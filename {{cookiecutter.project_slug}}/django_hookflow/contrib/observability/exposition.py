"""/metrics: the counts of all processes, and of the rows in the database."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import Error
from django.db.models import Count
from django.db.models import Min
from prometheus_client import CollectorRegistry
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from django_hookflow import clock
from django_hookflow.contrib.observability.conf import conf
from django_hookflow.contrib.observability.metrics import REGISTRY
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.states import RunStatus


def write(accept: str) -> tuple[bytes, str]:
    """Return all metrics in the format of `accept`, and its media type."""
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(REGISTRY)
    registry.register(Rows())
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


# Completed runs are most of the table, and PostgreSQL would read all of it to
# count them each time; hookflow_deliveries_total counts them as they end.
COUNTED = tuple(
    status.value for status in RunStatus if status != RunStatus.COMPLETED
)


@dataclass(frozen=True)
class Counts:
    """Counts of rows, from three queries that use indexes."""

    runs: dict[tuple[str, str], int]  # by workflow and status
    overdue: int
    overdue_since: datetime | None
    letters: int


class Rows(Collector):
    """The rows of the database as gauges."""

    def collect(self) -> Iterable[Metric]:
        up = gauge("hookflow_database_up", "1 if the database answered.")
        try:
            counts = cached_counts()
        except Error:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *_families(counts)]


def cached_counts() -> Counts:
    """Return counts at most DJANGO_METRICS_CACHE seconds old.

    One thread counts at a time.
    """
    global _kept
    with _counting:
        until, counts = _kept
        if counts is None or time.monotonic() >= until:
            counts = count()
            _kept = (time.monotonic() + conf.DJANGO_METRICS_CACHE, counts)
        return counts


def forget() -> None:
    """Count again next time."""
    global _kept
    _kept = (0.0, None)


def count() -> Counts:
    runs = WorkflowRun.objects.order_by()
    overdue = runs.filter(sweep_at__lte=clock.now()).aggregate(
        number=Count("*"), since=Min("sweep_at")
    )
    return Counts(
        runs={
            (row["workflow_id"], row["status"]): row["number"]
            for row in runs.filter(status__in=COUNTED)
            .values("workflow_id", "status")
            .annotate(number=Count("*"))
        },
        overdue=overdue["number"],
        overdue_since=overdue["since"],
        letters=DeadLetterEntry.objects.filter(is_replayed=False).count(),
    )


def gauge(
    name: str, help_text: str, labels: tuple[str, ...] = ()
) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, labels=labels)


def _families(counts: Counts) -> Iterable[Metric]:
    runs = gauge(
        "hookflow_runs",
        "Runs in the database that are not completed.",
        ("workflow", "status"),
    )
    for workflow in sorted({workflow for workflow, _ in counts.runs}):
        for status in COUNTED:
            number = counts.runs.get((workflow, status), 0)
            runs.add_metric([workflow, status], number)
    overdue = gauge(
        "hookflow_overdue_runs", "Overdue runs that the sweeper should find."
    )
    overdue.add_metric([], counts.overdue)
    oldest = gauge(
        "hookflow_oldest_overdue_seconds",
        "Age of the most overdue run that the sweeper should have found.",
    )
    oldest.add_metric([], _age(counts.overdue_since))
    letters = gauge(
        "hookflow_dead_letters", "Dead letters that are not replayed."
    )
    letters.add_metric([], counts.letters)
    return [runs, overdue, oldest, letters]


def _age(since: datetime | None) -> float:
    return (clock.now() - since).total_seconds() if since else 0


_counting = threading.Lock()
_kept: tuple[float, Counts | None] = (0.0, None)
