"""Tracers that record what they see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar

from django_hookflow.tracing import Carrier
from django_hookflow.tracing import Span
from django_hookflow.tracing import Tracer
from django_hookflow.tracing import Work


class Watcher(Tracer):
    name: ClassVar[str] = "watcher"
    seen: ClassVar[list[str]] = []

    def carry(self, carrier: Carrier) -> None:
        carrier[self.name] = f"trace-{len(carrier)}"

    def delivery(self, work: Work) -> Span:
        trace = work.carrier.get(self.name)
        return self.span(f"delivery {work.run.deliveries} of {trace}")

    def step(self, work: Work) -> Span:
        assert work.step is not None
        return self.span(f"{work.step.kind} {work.step.step_id}")

    def job(self, name: str, every: timedelta) -> Span:
        return self.span(f"job {name} {every}")

    @contextmanager
    def span(self, what: str) -> Iterator[None]:
        ended = "ended"
        try:
            yield
        except BaseException as error:
            ended = type(error).__name__
            raise
        finally:
            self.seen.append(f"{self.name}: {what} {ended}")


class Second(Watcher):
    name: ClassVar[str] = "second"
