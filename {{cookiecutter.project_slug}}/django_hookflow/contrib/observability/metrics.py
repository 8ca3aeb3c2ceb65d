"""Counters and timers of this site's processes, for Prometheus.

They count signals, and time by a tracer. With several processes,
PROMETHEUS_MULTIPROC_DIR names the directory they share; it must be set before
this module is imported.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client import Counter
from prometheus_client import Gauge
from prometheus_client import Histogram

from django_hookflow import signals
from django_hookflow.signals import Entry
from django_hookflow.signals import Verdict
from django_hookflow.states import RunStatus
from django_hookflow.tracing import Run
from django_hookflow.tracing import Span
from django_hookflow.tracing import Tracer
from django_hookflow.tracing import Work
from django_hookflow.workflows.registry import get_all_workflows

# Of this process; exposition.py reads those of all.
REGISTRY = CollectorRegistry()

# Seconds: a step is a query or a slow provider, a message is late by a hop
# of the network or by an outage.
LATE_BUCKETS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)
TIME_BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
)  # fmt: skip

OUTCOMES = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.WAITING)

TRIGGERED = Counter(
    "hookflow_runs_triggered_total",
    "Runs that were triggered.",
    ["workflow"],
    registry=REGISTRY,
)
DELIVERIES = Counter(
    "hookflow_deliveries_total",
    "Deliveries that changed a run, by its new status.",
    ["workflow", "outcome"],
    registry=REGISTRY,
)
ANSWERS = Counter(
    "hookflow_webhook_answers_total",
    "Answers of the webhook, by status: stale and busy changed nothing.",
    ["answer"],
    registry=REGISTRY,
)
STEPS = Counter(
    "hookflow_steps_total",
    "Steps that were recorded.",
    ["workflow", "kind", "status"],
    registry=REGISTRY,
)
RETRIES = Counter(
    "hookflow_retries_total",
    "Attempts that failed and will be tried again; kind is that of the step, "
    "or workflow for the function outside its steps.",
    ["workflow", "kind"],
    registry=REGISTRY,
)
SEND_FAILURES = Counter(
    "hookflow_send_failures_total",
    "Messages that could not be sent and are left to the sweeper.",
    ["workflow"],
    registry=REGISTRY,
)
SWEPT = Counter(
    "hookflow_swept_total",
    "Overdue runs whose message the sweeper sent again.",
    ["workflow"],
    registry=REGISTRY,
)
DELIVERY_LATE = Histogram(
    "hookflow_delivery_late_seconds",
    "From when a delivery was due until it took the lease.",
    ["workflow"],
    buckets=LATE_BUCKETS,
    registry=REGISTRY,
)
DELIVERY_SECONDS = Histogram(
    "hookflow_delivery_seconds",
    "From the lease of a delivery to its commit.",
    ["workflow"],
    buckets=TIME_BUCKETS,
    registry=REGISTRY,
)
STEP_SECONDS = Histogram(
    "hookflow_step_seconds",
    "The execution of a step, each attempt by itself.",
    ["workflow", "kind"],
    buckets=TIME_BUCKETS,
    registry=REGISTRY,
)
JOBS = Gauge(
    "hookflow_job_last_success_timestamp_seconds",
    "When a job of cron last succeeded in a process of this site.",
    ["job"],
    multiprocess_mode="max",
    registry=REGISTRY,
)


class MetricsTracer(Tracer):
    """Times deliveries and steps."""

    def delivery(self, work: Work) -> Span:
        workflow = work.run.workflow_id
        DELIVERY_LATE.labels(workflow).observe(_late(work.run))
        timer: Span = DELIVERY_SECONDS.labels(workflow).time()
        return timer

    def step(self, work: Work) -> Span:
        kind = work.step.kind if work.step else ""
        timer: Span = STEP_SECONDS.labels(work.run.workflow_id, kind).time()
        return timer

    @contextmanager
    def job(self, name: str, every: timedelta) -> Iterator[None]:
        yield
        JOBS.labels(name).set(time.time())


def listen() -> None:
    """Count the signals of the engine."""
    for signal, receiver in RECEIVERS:
        signal.connect(receiver, dispatch_uid="hookflow_metrics")
    _begin_at_zero()


def _begin_at_zero() -> None:
    """Make all series: Prometheus sees no increase in a new one."""
    for workflow_id in get_all_workflows():
        for outcome in OUTCOMES:
            DELIVERIES.labels(workflow_id, outcome)
        for counter in (TRIGGERED, SEND_FAILURES, SWEPT):
            counter.labels(workflow_id)
    for answer in ("busy", "refused", "stale"):
        ANSWERS.labels(answer)


def _triggered(workflow_id: str, **_: Any) -> None:
    TRIGGERED.labels(workflow_id).inc()


def _recorded(workflow_id: str, entry: Entry, **_: Any) -> None:
    STEPS.labels(workflow_id, entry.kind, entry.status).inc()


def _committed(workflow_id: str, verdict: Verdict, **_: Any) -> None:
    DELIVERIES.labels(workflow_id, verdict.status).inc()
    if verdict.status == RunStatus.WAITING and verdict.failure is not None:
        kind = verdict.entry.kind if verdict.entry else "workflow"
        RETRIES.labels(workflow_id, kind).inc()


def _send_failed(workflow_id: str, **_: Any) -> None:
    SEND_FAILURES.labels(workflow_id).inc()


def _swept(workflow_id: str, **_: Any) -> None:
    SWEPT.labels(workflow_id).inc()


def _late(run: Run) -> float:
    """Return the seconds from when it was due; 0 if it came early."""
    if run.wake_at is None or run.claimed_at is None:
        return 0
    return max(0.0, (run.claimed_at - run.wake_at).total_seconds())


RECEIVERS = (
    (signals.run_triggered, _triggered),
    (signals.step_recorded, _recorded),
    (signals.run_committed, _committed),
    (signals.send_failed, _send_failed),
    (signals.run_swept, _swept),
)
