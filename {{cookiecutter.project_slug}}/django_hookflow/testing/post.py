"""The messages of a test, delivered without a server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.testing.faults import MESSAGE
from django_hookflow.testing.faults import Faults
from django_hookflow.transports.base import Transport


@dataclass(frozen=True, slots=True)
class Message:
    """A message that has not arrived; without a delivery, a sweep is due."""

    delivery: Delivery | None
    due: datetime
    is_late: bool = False


class Post:
    """Keeps messages until they are taken."""

    def __init__(self, faults: Faults) -> None:
        self.waiting: list[Message] = []
        self._faults = faults

    def send(self, delivery: Delivery) -> None:
        """Keep a message, unless a fault is planned for it."""
        now = clock.now()
        due = max(delivery.not_before or now, now)
        if self._faults.strike(MESSAGE, "lost"):
            self.sweep_at(due)
            return
        is_late = self._faults.strike(MESSAGE, "delayed")
        is_doubled = self._faults.strike(MESSAGE, "doubled")
        message = Message(delivery, due, is_late)
        self.waiting += [message] * (1 + is_doubled)

    def again(self, delivery: Delivery) -> None:
        """Keep a message that was not acknowledged."""
        self.waiting.append(Message(delivery, clock.now()))

    def sweep_at(self, due: datetime) -> None:
        """Have the sweeper look at a time, for what was not sent."""
        self.waiting.append(Message(None, due, is_late=True))

    def take(self) -> Message | None:
        """Remove and return the message that is due first; None for none."""
        now = clock.now()
        due = [message for message in self.waiting if message.due <= now]
        first = min(due, key=lambda m: (m.is_late, m.due), default=None)
        if first is not None:
            self.waiting.remove(first)
        return first

    def next_due(self) -> datetime | None:
        return min((message.due for message in self.waiting), default=None)


class KitTransport(Transport):
    """Hands messages to the kit of the test that is running."""

    post: Post

    def send(self, delivery: Delivery) -> None:
        self.post.send(delivery)
