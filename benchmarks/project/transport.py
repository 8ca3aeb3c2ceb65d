"""Messages that wait in a list, so that only the engine is measured."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from django_hookflow.delivery import Delivery
from django_hookflow.transports.signed import SignedTransport


class DirectTransport(SignedTransport):
    """Keeps what was sent; who takes it calls engine.advance with it."""

    sent: ClassVar[deque[Delivery]] = deque()

    def send(self, delivery: Delivery) -> None:
        self.sent.append(delivery)
