"""Messages on their way, and their faults."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from datetime import timedelta

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import TransportError
from django_hookflow.tests.simulation.choices import Choices
from django_hookflow.tests.simulation.crew import here
from django_hookflow.tests.simulation.programs import DAY
from django_hookflow.transports.memory import BACKOFF
from django_hookflow.transports.memory import MemoryTransport

LONGEST_DELAY = timedelta(days=7)  # a sleep beyond it goes in hops
RETRIES = 3


@dataclass(frozen=True)
class Message:
    number: int
    delivery: Delivery
    due: datetime
    retried: int = 0


class Network:
    """Keeps messages until they are due; `choices` decide on faults."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.waiting: list[Message] = []
        self.sent: dict[str, list[Delivery]] = {}
        self.is_hostile = True
        self._count = 0

    def send(self, delivery: Delivery) -> None:
        worker = here()
        if worker is not None:
            worker.boundary("before send")
        fate = self._fate()
        if fate == "refused":
            raise TransportError("the network is down")
        self.sent.setdefault(delivery.run_id, []).append(delivery)
        if fate != "lost":
            self._post(delivery, fate)
        if worker is not None:
            worker.boundary("after send")

    def take(self, message: Message) -> None:
        self.waiting.remove(message)

    def again(self, message: Message, after: float | None = None) -> None:
        """Send again, up to 3 times, as QStash does unless it gets 2xx."""
        if message.retried >= RETRIES:
            return
        pause = BACKOFF[message.retried] if after is None else after
        self._put(
            replace(
                message,
                due=clock.now() + timedelta(seconds=pause),
                retried=message.retried + 1,
            )
        )

    def due(self) -> list[Message]:
        now = clock.now()
        return [message for message in self.waiting if message.due <= now]

    def next_due(self) -> datetime | None:
        return min((message.due for message in self.waiting), default=None)

    def _fate(self) -> str:
        if not self.is_hostile or not self.choices.chance(25):
            return "delivered"
        return self.choices.pick(
            ("doubled", "late", "early", "lost", "refused")
        )

    def _post(self, delivery: Delivery, fate: str) -> None:
        now = clock.now()
        due = max(delivery.not_before or now, now)
        due = min(due, now + LONGEST_DELAY)
        if fate == "early":
            due = now
        if fate == "late":
            due += timedelta(seconds=self.choices.pick((60, 3600, 2 * DAY)))
        for _ in range(2 if fate == "doubled" else 1):
            self._count += 1
            self._put(Message(self._count, delivery, due))

    def _put(self, message: Message) -> None:
        self.waiting.append(message)


class SimulatedTransport(MemoryTransport):
    """Hands messages to the network of the history that is running."""

    network: Network | None = None

    def send(self, delivery: Delivery) -> None:
        assert self.network is not None, "no history is running"
        self.network.send(delivery)
