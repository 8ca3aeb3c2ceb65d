"""Who watches the engine at work: tracers, and the ids of log records.

A tracer times deliveries, steps and the jobs that cron starts, and carries a
trace from where a run was triggered through all of its deliveries. The
setting DJANGO_HOOKFLOW_TRACERS names classes of them by dotted path; without
one, this costs a look at a variable for each step.
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

# What a trace is continued by, such as {"traceparent": "00-…"}.
Carrier: TypeAlias = dict[str, str]
Span: TypeAlias = AbstractContextManager[object]


class Run(Protocol):
    """A WorkflowRun, by as much as tracers should look at."""

    run_id: str
    workflow_id: str
    deliveries: int
    trace: str
    wake_at: datetime | None
    claimed_at: datetime | None


@dataclass(slots=True)
class Work:
    """What this thread is doing for the engine just now."""

    run: Run  # as it was when the delivery took the lease
    tracer: Tracer | None
    step: Entry | None = None  # the step that is executed; never a replayed

    @property
    def carrier(self) -> Carrier:
        """What the tracers put there when the run was triggered."""
        carried: Carrier = json.loads(self.run.trace or "{}")
        return carried


class Tracer:
    """Watches, and this one sees nothing: derive from it.

    What its methods raise fails the delivery, so they had better not.
    """

    def carry(self, carrier: Carrier) -> None:
        """Put what continues the present trace into `carrier`."""

    def delivery(self, work: Work) -> Span:
        """Around a delivery, from when it has the lease to its commit."""
        return nullcontext()

    def step(self, work: Work) -> Span:
        """Around the execution of `work.step`.

        A StepWaiting passes through when the run has to wait, for another
        attempt too; a WorkflowError when the step failed for good.
        """
        return nullcontext()

    def job(self, name: str, every: timedelta) -> Span:
        """Around a job that cron starts this often, such as the sweeper."""
        return nullcontext()


def current() -> Work | None:
    """What this thread is doing for the engine; None outside deliveries."""
    return _current.get()


def carried() -> str:
    """The present trace as text that the row of a run keeps."""
    tracer = get_tracer()
    if tracer is None:
        return ""
    carrier: Carrier = {}
    tracer.carry(carrier)
    return json.dumps(carrier) if carrier else ""


@contextmanager
def delivery(run: Run) -> Iterator[Work]:
    """Be at work on `run` for the length of the block."""
    tracer = get_tracer()
    work = Work(run, tracer)
    token = _current.set(work)
    try:
        with nullcontext() if tracer is None else tracer.delivery(work):
            yield work
    finally:
        _current.reset(token)


def job(name: str, every: timedelta) -> Span:
    """Watch a job that should run this often."""
    tracer = get_tracer()
    return nullcontext() if tracer is None else tracer.job(name, every)


def get_tracer() -> Tracer | None:
    """All of DJANGO_HOOKFLOW_TRACERS as one; None when there are none."""
    return _tracer(tuple(conf.DJANGO_HOOKFLOW_TRACERS))


@lru_cache(maxsize=1)
def _tracer(paths: tuple[str, ...]) -> Tracer | None:
    tracers: list[Tracer] = [import_string(path)() for path in paths]
    if len(tracers) < 2:
        return tracers[0] if tracers else None
    return _Several(tracers)


class _Several(Tracer):
    """The first one is outermost."""

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
