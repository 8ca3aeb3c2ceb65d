"""A small world for the engine: a clock that is moved, messages in memory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from datetime import datetime

from django_hookflow import clock
from django_hookflow import stopping
from django_hookflow.clock import Duration
from django_hookflow.models import WorkflowRun
from django_hookflow.transports.memory import MemoryTransport

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Died(BaseException):
    """The process is gone: raised in a step, nothing more happens."""


stopping.let_pass(Died)


@dataclass
class World:
    now: datetime = EPOCH
    times: int = 1  # how often each message is delivered

    def advance(self, duration: Duration) -> None:
        """Let time pass, and nothing be delivered in it."""
        self.now += clock.duration(duration)

    def deliver(self) -> int:
        """Deliver what is due; returns how many messages that were."""
        return MemoryTransport.drain(self.times)

    def pass_time(self, duration: Duration) -> None:
        """Let time pass, and each message be delivered when it is due."""
        until = self.now + clock.duration(duration)
        self.deliver()
        while (due := MemoryTransport.next_due()) and due <= until:
            self.now = max(self.now, due)
            self.deliver()
        self.now = until

    def run_of(self, run_id: str) -> WorkflowRun:
        return WorkflowRun.objects.get(run_id=run_id)

    def finish(self, run_id: str, within: Duration = "30d") -> WorkflowRun:
        """The run after everything has been delivered that will be."""
        self.pass_time(within)
        return self.run_of(run_id)
