"""A transport that keeps its messages in the process: for tests.

Every message is signed and posted to the real webhook, as QStash does; a test
can drop, duplicate, delay and reorder them on the way.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from datetime import timedelta

from django.core.exceptions import ImproperlyConfigured
from django.http.response import HttpResponseBase
from django.test import Client

from django_hookflow import clock
from django_hookflow.conf import conf
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import NON_RETRYABLE
from django_hookflow.transports import get_transport
from django_hookflow.transports.base import webhook_url
from django_hookflow.transports.signature import sign
from django_hookflow.transports.signed import SignedTransport

# QStash's schedule: https://upstash.com/docs/qstash/features/retry (2026-08)
BACKOFF = (12, 148, 1808, 22_026)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A delivery that was sent and has not arrived."""

    number: int
    delivery: Delivery
    due: datetime
    retried: int = 0


class MemoryTransport(SignedTransport):
    """Keeps messages until `deliver` or `drain` is called."""

    retries = 3

    def __init__(self) -> None:
        self.waiting: list[Message] = []
        self.dead: list[Message] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def send(self, delivery: Delivery) -> None:
        now = clock.now()
        due = max(delivery.not_before or now, now)
        with self._lock:
            number = next(self._numbers)
            self.waiting.append(
                Message(number=number, delivery=delivery, due=due)
            )

    def reset(self) -> None:
        """Forget all messages."""
        self.waiting.clear()
        self.dead.clear()

    def due(self) -> list[Message]:
        """Return the messages that may be delivered now, oldest first."""
        ready = [m for m in list(self.waiting) if m.due <= clock.now()]
        return sorted(ready, key=lambda m: (m.due, m.number))

    def next_due(self) -> datetime | None:
        """Return when the next message is due; None when none is waiting."""
        return min((m.due for m in self.waiting), default=None)

    def deliver(self, message: Message) -> HttpResponseBase:
        """Post a message once; 2xx ends it, all else is tried again later."""
        self.take(message)
        response = post(message.delivery, retried=message.retried)
        if not 200 <= response.status_code < 300:
            self._after_failure(message, response)
        return response

    def take(self, message: Message) -> None:
        """Lose a message."""
        with self._lock:
            if message in self.waiting:
                self.waiting.remove(message)

    def _after_failure(
        self, message: Message, response: HttpResponseBase
    ) -> None:
        if (
            response.status_code == NON_RETRYABLE
            or message.retried >= self.retries
        ):
            self.dead.append(message)
            return
        seconds = response.headers.get("Retry-After")
        pause = float(seconds) if seconds else BACKOFF[message.retried]
        again = replace(
            message,
            due=clock.now() + timedelta(seconds=pause),
            retried=message.retried + 1,
        )
        with self._lock:
            self.waiting.append(again)

    def drain(
        self,
        times: int = 1,
        on_delivery: Callable[[Message], None] | None = None,
    ) -> int:
        """Deliver messages until none is due, each of them `times` times.

        Returns how many messages were delivered.
        """
        delivered = 0
        while ready := self.due():
            if on_delivery is not None:
                on_delivery(ready[0])
            for _ in range(times):
                self.deliver(ready[0])
            delivered += 1
        return delivered


def memory_transport() -> MemoryTransport:
    """Return the site's transport, with the messages that wait in it."""
    transport = get_transport()
    if not isinstance(transport, MemoryTransport):
        raise ImproperlyConfigured(
            f"DJANGO_HOOKFLOW_TRANSPORT is {conf.DJANGO_HOOKFLOW_TRANSPORT!r},"
            " which keeps no messages in memory. Set it to "
            '"django_hookflow.transports.memory.MemoryTransport" in the '
            "settings of your tests."
        )
    return transport


def post(delivery: Delivery, retried: int = 0) -> HttpResponseBase:
    """Post a delivery to the webhook of this process, as QStash would."""
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
