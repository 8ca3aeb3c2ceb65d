"""Tracers, which time the engine's work, and the ids of log records.

A tracer times deliveries, steps and the jobs that cron starts, and carries a
trace from where a run was triggered through all of its deliveries. The
setting DJANGO_HOOKFLOW_TRACERS names their classes by dotted path; without
one, a step costs one look at a variable.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import ExitStack
from contextlib import contextmanager
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from functools import lru_cache
from typing import Protocol
from typing import TypeAlias

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from django_hookflow.conf import conf
from django_hookflow.journal import Entry

# The headers that continue a trace, such as {"traceparent": "00-…"}.
Carrier: TypeAlias = dict[str, str]
Span: TypeAlias = AbstractContextManager[object]


class Run(Protocol):
    """The attributes of a WorkflowRun that tracers may read."""

    run_id: str
    workflow_id: str
    deliveries: int
    trace: str
    wake_at: datetime | None
    claimed_at: datetime | None


@dataclass(slots=True)
class Work:
    """The delivery, and the step, that this thread is working on."""

    run: Run  # as it was when the delivery took the lease
    tracer: Tracer | None
    step: Entry | None = None  # the step that runs; never a replayed one
    limit: datetime | None = None  # when that step should have ended

    @property
    def carrier(self) -> Carrier:
        """The carrier that the tracers filled when the run was triggered."""
        carried: Carrier = json.loads(self.run.trace or "{}")
        return carried


class Tracer:
    """Base class of tracers, whose methods do nothing.

    An exception in a tracer fails the delivery; do not raise.
    """

    def carry(self, carrier: Carrier) -> None:
        """Put the headers that continue the present trace into `carrier`."""

    def delivery(self, work: Work) -> Span:
        """Return a context for a delivery, from its lease to its commit."""
        return nullcontext()

    def step(self, work: Work) -> Span:
        """Return a context for the execution of `work.step`.

        StepWaiting passes through it when the run has to wait, also for
        another attempt; WorkflowError when the step failed for good.
        """
        return nullcontext()

    def job(self, name: str, every: timedelta) -> Span:
        """Return a context for a job that cron starts, such as the sweeper."""
        return nullcontext()


def current() -> Work | None:
    """Return the work of this thread; None outside deliveries."""
    return _current.get()


def carried() -> str:
    """Return the present trace as text for the row of a run."""
    tracer = get_tracer()
    if tracer is None:
        return ""
    carrier: Carrier = {}
    tracer.carry(carrier)
    return json.dumps(carrier) if carrier else ""


@contextmanager
def delivery(run: Run) -> Iterator[Work]:
    """Make `run` the work of this thread within the block."""
    tracer = get_tracer()
    work = Work(run, tracer)
    token = _current.set(work)
    try:
        with nullcontext() if tracer is None else tracer.delivery(work):
            yield work
    finally:
        _current.reset(token)


def job(name: str, every: timedelta) -> Span:
    """Return a context that watches a job, which should run this often."""
    tracer = get_tracer()
    return nullcontext() if tracer is None else tracer.job(name, every)


def get_tracer() -> Tracer | None:
    """Return all of DJANGO_HOOKFLOW_TRACERS as one; None without any."""
    return _tracer(tuple(conf.DJANGO_HOOKFLOW_TRACERS))


@lru_cache(maxsize=1)
def _tracer(paths: tuple[str, ...]) -> Tracer | None:
    tracers: list[Tracer] = [import_string(path)() for path in paths]
    if len(tracers) < 2:
        return tracers[0] if tracers else None
    return _Several(tracers)


class _Several(Tracer):
    """Calls several tracers; the first is the outermost."""

    def __init__(self, tracers: list[Tracer]) -> None:
        self.tracers = tracers

    def carry(self, carrier: Carrier) -> None:
        for tracer in self.tracers:
            tracer.carry(carrier)

    def delivery(self, work: Work) -> Span:
        return _all([tracer.delivery(work) for tracer in self.tracers])

    def step(self, work: Work) -> Span:
        return _all([tracer.step(work) for tracer in self.tracers])

    def job(self, name: str, every: timedelta) -> Span:
        return _all([tracer.job(name, every) for tracer in self.tracers])


@contextmanager
def _all(spans: list[Span]) -> Iterator[None]:
    with ExitStack() as entered:
        for span in spans:
            entered.enter_context(span)
        yield


def _forget(**_: object) -> None:
    _tracer.cache_clear()


setting_changed.connect(_forget)

_current: ContextVar[Work | None] = ContextVar("hookflow_work", default=None)
