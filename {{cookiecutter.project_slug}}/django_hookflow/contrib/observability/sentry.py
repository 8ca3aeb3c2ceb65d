"""Sentry: an event for each failed run, a transaction for each delivery.

    trace        from the triggering request through all deliveries
    transaction  a delivery, named by its workflow
    span         an executed step, by its kind; http and db spans are in it
    event        a run that failed for good, with its exception
    check-in     a job of cron

Failures that are tried again send no event. The engine's log lines about runs,
by the logger "django_hookflow", are left out, since they say the same; those
of other loggers, such as "django_hookflow.webhook", are not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import nullcontext
from datetime import timedelta
from random import SystemRandom
from types import TracebackType
from typing import TYPE_CHECKING
from typing import Any

import sentry_sdk
from django.core.exceptions import ImproperlyConfigured
from sentry_sdk.consts import SPANSTATUS
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.logging import ignore_logger
from sentry_sdk.scope import Scope
from sentry_sdk.scope import ScopeType
from sentry_sdk.scope import use_isolation_scope
from sentry_sdk.scope import use_scope
from sentry_sdk.tracing import Span as SentrySpan
from sentry_sdk.utils import BadDsn
from sentry_sdk.utils import event_from_exception

from django_hookflow import signals
from django_hookflow.conf import conf as engine_conf
from django_hookflow.contrib.observability.conf import conf
from django_hookflow.exceptions import StepWaiting
from django_hookflow.exceptions import Suspension
from django_hookflow.exceptions import WorkflowError
from django_hookflow.exceptions import origins
from django_hookflow.signals import Entry
from django_hookflow.signals import Verdict
from django_hookflow.tracing import Carrier
from django_hookflow.tracing import Run
from django_hookflow.tracing import Span
from django_hookflow.tracing import Tracer
from django_hookflow.tracing import Work
from django_hookflow.tracing import current

if TYPE_CHECKING:
    from sentry_sdk._types import DataCollectionUserOptions
    from sentry_sdk.types import Event
    from sentry_sdk.types import Hint

# Requested all day long, and not worth a transaction. A delivery is a
# transaction by itself.
UNTRACED = ("/livez", "/readyz", "/metrics")

# The headers in which a request brings a trace.
CARRIED = ("HTTP_SENTRY_TRACE", "HTTP_BAGGAGE")
SYSTEM_RANDOM = SystemRandom()

# Parts of addresses that may contain data of runs.
ADDRESS_PARTS = ("http.query", "http.fragment")

# The data of an event beside the failure itself: with SENTRY_SEND_PII as much
# as Sentry collects by default, else nothing of users and runs. Values of
# headers with these words are never sent: Upstash-Signature gives access.
SIGNED = ["signature"]
ADDRESSES = ["forwarded", "-ip", "remote-", "via", "-user", "referer"]
OPEN: DataCollectionUserOptions = {
    "http_headers": {"request": {"mode": "denylist", "terms": SIGNED}}
}
PRIVATE: DataCollectionUserOptions = {
    "user_info": False,
    "cookies": {"mode": "off"},
    "http_headers": {
        "request": {"mode": "denylist", "terms": [*SIGNED, *ADDRESSES]}
    },
    "http_bodies": [],
    "url_query_params": {"mode": "off"},
    "database_query_data": False,
    "queues": False,
    "stack_frame_variables": False,
}

MINUTE = timedelta(minutes=1)


def start() -> None:
    """Start to send; ImproperlyConfigured if SENTRY_DSN is invalid."""
    rate = conf.SENTRY_TRACES_SAMPLE_RATE
    private = not conf.SENTRY_SEND_PII
    try:
        sentry_sdk.init(
            dsn=conf.SENTRY_DSN,
            environment=conf.SENTRY_ENVIRONMENT or "production",
            release=conf.SENTRY_RELEASE or None,
            traces_sampler=_sample if rate else None,
            integrations=[DjangoIntegration(signals_spans=False)],
            in_app_exclude=["django_hookflow"],
            data_collection=PRIVATE if private else OPEN,
            include_local_variables=not private,
            max_request_body_size="never" if private else "medium",
            before_send=_without_data if private else None,
            before_send_transaction=_without_data if private else None,
        )
    except BadDsn as error:
        raise ImproperlyConfigured(
            f"SENTRY_DSN is {conf.SENTRY_DSN!r}, and Sentry says: {error}. "
            "Copy it from your project's settings at Sentry, or leave it "
            "empty."
        ) from error
    ignore_logger("django_hookflow")
    signals.run_committed.connect(_report, dispatch_uid="hookflow_sentry")


class SentryTracer(Tracer):
    """Sends transactions, spans and check-ins."""

    def carry(self, carrier: Carrier) -> None:
        carrier.update(
            sentry_sdk.get_current_scope().iter_trace_propagation_headers()
        )

    @contextmanager
    def delivery(self, work: Work) -> Iterator[None]:
        # Scopes of its own: those of the webhook's request contain the
        # message, which says nothing about the run.
        scope = Scope(ty=ScopeType.ISOLATION)
        scope.set_tag("workflow", work.run.workflow_id)
        scope.set_tag("run_id", work.run.run_id)
        scope.set_context("workflow", _facts(work.run))
        with (
            use_isolation_scope(scope),
            use_scope(Scope(ty=ScopeType.CURRENT)),
        ):
            transaction = sentry_sdk.continue_trace(
                work.carrier,
                op="queue.process",
                name=work.run.workflow_id,
                source="task",
            )
            with sentry_sdk.start_transaction(transaction):
                yield

    def step(self, work: Work) -> Span:
        return _StepSpan(work)

    def job(self, name: str, every: timedelta) -> Span:
        """Send a check-in, at most one a minute."""
        now = time.monotonic()
        if now - _checked_in.get(name, -60.0) < 55:
            return nullcontext()
        _checked_in[name] = now
        return _check_in(name, every)


class _StepSpan:
    """The span of a step; a suspension that passes through is not an error."""

    def __init__(self, work: Work) -> None:
        self.scope = sentry_sdk.get_isolation_scope()
        self.work = work
        self.span: SentrySpan | None = None

    def __enter__(self) -> None:
        step = self.work.step
        assert step is not None
        self.scope.set_tag("step_id", step.step_id)
        self.scope.set_context("workflow", _facts(self.work.run, step))
        delivery = sentry_sdk.get_current_span()
        # A trace that is not sent needs no spans.
        if delivery is not None and delivery.sampled:
            self.span = delivery.start_child(
                op=f"workflow.step.{step.kind}",
                name=step.step_id,
                origin="auto.function.hookflow",
            )
            self.span.__enter__()
            self.span.set_data("workflow.step.attempt", step.attempts)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.span is not None:
            failed = _is_failure(error)
            self.span.set_status(
                SPANSTATUS.INTERNAL_ERROR if failed else SPANSTATUS.OK
            )
            self.span.__exit__(None, None, None)
        self.scope.remove_tag("step_id")
        self.scope.set_context("workflow", _facts(self.work.run))


def _is_failure(error: BaseException | None) -> bool:
    if isinstance(error, StepWaiting):
        return error.error is not None
    return error is not None and not isinstance(error, Suspension)


def _check_in(name: str, every: timedelta) -> Span:
    minutes = max(1, round(every / MINUTE))
    return sentry_sdk.monitor(
        monitor_slug=name,
        monitor_config={
            "schedule": {
                "type": "interval",
                "value": minutes,
                "unit": "minute",
            },
            "checkin_margin": max(2, minutes // 10),
            "max_runtime": max(5, minutes // 10),
        },
    )


def _report(
    workflow_id: str,
    run_id: str,
    verdict: Verdict,
    error: BaseException | None,
    **_: Any,
) -> None:
    """Send an event for a run that failed for good, or is rolled back."""
    if not verdict.is_failure or error is None:
        return
    event, hint = event_from_exception(
        error,
        client_options=sentry_sdk.get_client().options,
        mechanism={"type": "hookflow", "handled": False},
    )
    event["transaction"] = workflow_id
    step = _failed_step(error)
    step_id = verdict.failure.step_id if verdict.failure else ""
    kind = step.error_type if step else type(error).__name__
    work = current()
    with sentry_sdk.new_scope() as scope:
        scope.set_tags({"workflow": workflow_id, "run_id": run_id})
        scope.set_tag("step_id", step_id)
        facts = _facts(work.run) if work else {}
        facts["step_id"] = step_id
        facts["attempt"] = step.attempts if step else verdict.attempts
        scope.set_context("workflow", facts)
        # Not by the stack, which differs when the run fails in a later
        # delivery than its step.
        scope.fingerprint = ["hookflow", workflow_id, step_id, kind]
        sentry_sdk.capture_event(event, hint)


def _failed_step(error: BaseException | None) -> WorkflowError | None:
    """Return the error of the step that failed the run; else None."""
    steps = (e for e in origins(error) if isinstance(e, WorkflowError))
    return next(steps, None)


def _facts(run: Run, step: Entry | None = None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "workflow_id": run.workflow_id,
        "run_id": run.run_id,
        "delivery": run.deliveries,
    }
    if step is not None:
        facts |= {"step_id": step.step_id, "attempt": step.attempts}
    return facts


def _sample(context: dict[str, Any]) -> float:
    """Return which part of such transactions to send, from 0 to 1.

    A delivery follows the decision of the one before, which our message
    carries. Anyone can send a request's headers, so a request is decided
    again, and not by Sentry's random number, which comes from those headers.
    """
    environ = context.get("wsgi_environ", {})
    path = environ.get("PATH_INFO", "")
    if path in UNTRACED or path.startswith(_webhooks()):
        return 0
    rate: float = conf.SENTRY_TRACES_SAMPLE_RATE
    if any(name in environ for name in CARRIED):
        return float(SYSTEM_RANDOM.random() < rate)
    parent: bool | None = context.get("parent_sampled")
    return rate if parent is None else float(parent)


def _webhooks() -> str:
    path: str = engine_conf.DJANGO_HOOKFLOW_WEBHOOK_PATH
    return f"/{path.strip('/')}/"


def _without_data(event: Event, hint: Hint) -> Event:
    """Remove the parts of addresses that may contain data."""

    crumbs: Any = event.get("breadcrumbs") or {}
    values: Any = crumbs.get("values") if isinstance(crumbs, dict) else crumbs
    spans: Any = event.get("spans")
    for part in (*(values or ()), *(spans or ())):
        data = part.get("data") or {}
        for name in ADDRESS_PARTS:
            data.pop(name, None)
    return event


_checked_in: dict[str, float] = {}  # when, by the name of the job
