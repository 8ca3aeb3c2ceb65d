"""Deliveries that stay in the process: for tests, and a product itself.

Every message is signed and posted to the real webhook, like QStash does; a
test can drop, double, delay and reorder them on the way.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from datetime import timedelta
from typing import ClassVar

from django.http.response import HttpResponseBase
from django.test import Client

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import NON_RETRYABLE
from django_hookflow.transports.base import webhook_url
from django_hookflow.transports.signature import sign
from django_hookflow.transports.signed import SignedTransport

# QStash's schedule: https://upstash.com/docs/qstash/features/retry (2026-08)
BACKOFF = (12, 148, 1808, 22_026)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A delivery on its way."""

    number: int
    delivery: Delivery
    due: datetime
    retried: int = 0


class MemoryTransport(SignedTransport):
    """Keeps messages until `deliver` or `drain` is called."""

    waiting: ClassVar[list[Message]] = []
    dead: ClassVar[list[Message]] = []
    retries: ClassVar[int] = 3
    _numbers: ClassVar[Iterable[int]] = itertools.count()
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def send(self, delivery: Delivery) -> None:
        now = clock.now()
        due = max(delivery.not_before or now, now)
        with self._lock:
            number = next(iter(self._numbers))
            self.waiting.append(
                Message(number=number, delivery=delivery, due=due)
            )

    @classmethod
    def reset(cls) -> None:
        cls.waiting.clear()
        cls.dead.clear()

    @classmethod
    def due(cls) -> list[Message]:
        """What may be delivered now, the oldest first."""
        ready = [m for m in list(cls.waiting) if m.due <= clock.now()]
        return sorted(ready, key=lambda m: (m.due, m.number))

    @classmethod
    def next_due(cls) -> datetime | None:
        """When the next message is due; None when none is waiting."""
        return min((m.due for m in cls.waiting), default=None)

    @classmethod
    def deliver(cls, message: Message) -> HttpResponseBase:
        """Post a message once; 2xx ends it, all else is tried again later."""
        cls.take(message)
        response = post(message.delivery, retried=message.retried)
        if not 200 <= response.status_code < 300:
            cls._after_failure(message, response)
        return response

    @classmethod
    def take(cls, message: Message) -> None:
        with cls._lock:
            if message in cls.waiting:
                cls.waiting.remove(message)

    @classmethod
    def _after_failure(
        cls, message: Message, response: HttpResponseBase
    ) -> None:
        if (
            response.status_code == NON_RETRYABLE
            or message.retried >= cls.retries
        ):
            cls.dead.append(message)
            return
        seconds = response.headers.get("Retry-After")
        pause = float(seconds) if seconds else BACKOFF[message.retried]
        again = replace(
            message,
            due=clock.now() + timedelta(seconds=pause),
            retried=message.retried + 1,
        )
        with cls._lock:
            cls.waiting.append(again)

    @classmethod
    def drain(
        cls,
        times: int = 1,
        on_delivery: Callable[[Message], None] | None = None,
    ) -> int:
        """Deliver what is due until nothing is, each message `times` times.

        Returns how many messages were delivered.
        """
        delivered = 0
        while ready := cls.due():
            if on_delivery is not None:
                on_delivery(ready[0])
            for _ in range(times):
                cls.deliver(ready[0])
            delivered += 1
        return delivered


def post(delivery: Delivery, retried: int = 0) -> HttpResponseBase:
    """What QStash posts for a delivery, to the webhook of this process."""
    body = delivery.encode()
    url = webhook_url(delivery.workflow_id)
    path = "/" + url.split("/", 3)[3]
    return Client(raise_request_exception=False).post(
        path,
        data=body,
        content_type="application/json",
        headers={
            "Upstash-Signature": sign(body, url),
            "Upstash-Retried": str(retried),
        },
    )
