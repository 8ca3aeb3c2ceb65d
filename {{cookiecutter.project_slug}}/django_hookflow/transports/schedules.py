"""Schedules at QStash, by which it posts to this site again and again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from qstash import QStash
from qstash.errors import QStashError

from django_hookflow.conf import conf
from django_hookflow.exceptions import TransportError
from django_hookflow.http import safe_address
from django_hookflow.transports.base import task_url
from django_hookflow.transports.qstash import explained
from django_hookflow.transports.qstash import new_client

PREFIX = "hookflow"
TIMEOUT = 10  # seconds for an answer


class QStashAwayError(TransportError):
    """QSTASH_URL does not answer."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task of maintenance, and when QStash starts it."""

    task: str
    cron: str
    order: Mapping[str, Any]  # the body of the message, as JSON

    @property
    def schedule_id(self) -> str:
        """The same at every registration, so that it exists only once.

        It names the host: other sites may use the same QStash account.
        """
        host = urlsplit(conf.DJANGO_HOOKFLOW_DOMAIN).hostname or ""
        return f"{PREFIX}-{self.task}-{host.replace(':', '-')}"

    @property
    def url(self) -> str:
        return task_url(self.task)


@dataclass(frozen=True, slots=True)
class Registered:
    """A schedule as QStash has it."""

    schedule_id: str
    cron: str
    url: str
    paused: bool


def register(schedule: Schedule) -> None:
    """Create a schedule, or replace the one with its id.

    Raises TransportError.
    """
    with _asking() as client:
        client.schedule.create(
            schedule_id=schedule.schedule_id,
            destination=schedule.url,
            cron=schedule.cron,
            body=json.dumps(schedule.order),
            content_type="application/json",
            method="POST",
            # The next message comes soon, and does the same.
            retries=0,
            label="hookflow-maintenance",
        )


def registered() -> list[Registered]:
    """Return QStash's schedules of maintenance, also those of other hosts."""
    with _asking() as client:
        return [
            Registered(one.schedule_id, one.cron, one.destination, one.paused)
            for one in client.schedule.list()
            if one.schedule_id.startswith(f"{PREFIX}-")
        ]


def remove(schedule_id: str) -> None:
    with _asking() as client:
        client.schedule.delete(schedule_id)


@contextmanager
def _asking() -> Iterator[QStash]:
    """Yield a client; its errors become TransportErrors."""
    client = new_client(TIMEOUT, conf.QSTASH_URL, conf.QSTASH_TOKEN)
    try:
        yield client
    except httpx.TransportError as error:
        raise QStashAwayError(
            f"QStash cannot be reached at {safe_address(conf.QSTASH_URL)}: "
            f"{explained(error)}. Compare QSTASH_URL; if it is the embedded "
            "server, start that first."
        ) from None
    except QStashError as error:
        raise TransportError(f"QStash refused: {explained(error)}") from error
    finally:
        client.http._client.close()  # it has no way to do it itself
