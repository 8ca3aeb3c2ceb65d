"""A small world for the engine: a clock that is moved, messages in memory."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime

from django_hookflow import clock
from django_hookflow import stopping
from django_hookflow.clock import Duration
from django_hookflow.models import WorkflowRun
from django_hookflow.transports.memory import MemoryTransport
from django_hookflow.transports.memory import memory_transport

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Died(BaseException):
    """Raised in a step, it ends the delivery as a killed process would."""


stopping.let_pass(Died)


@dataclass
class World:
    """The time and the messages of a test; it must use a MemoryTransport."""

    now: datetime = EPOCH
    times: int = 1  # how often each message is delivered
    transport: MemoryTransport = field(default_factory=memory_transport)

    def advance(self, duration: Duration) -> None:
        """Let time pass without delivering anything."""
        self.now += clock.duration(duration)

    def deliver(self) -> int:
        """Deliver the messages that are due; return how many there were."""
        return self.transport.drain(self.times)

    def pass_time(self, duration: Duration) -> None:
        """Let time pass, and deliver each message when it is due."""
        until = self.now + clock.duration(duration)
        self.deliver()
        while (due := self.transport.next_due()) and due <= until:
            self.now = max(self.now, due)
            self.deliver()
        self.now = until

    def run_of(self, run_id: str) -> WorkflowRun:
        return WorkflowRun.objects.get(run_id=run_id)

    def finish(self, run_id: str, within: Duration = "30d") -> WorkflowRun:
        """Pass time, deliver all that is due in it, and return the run."""
        self.pass_time(within)
        return self.run_of(run_id)
