"""The transport that uses QStash: Upstash's, or the embedded server."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from functools import partial
from urllib.parse import quote
from urllib.parse import urlsplit

import httpx
from django.core.checks import CheckMessage
from django.core.checks import Error
from qstash import QStash
from qstash.message import FlowControl

from django_hookflow import clock
from django_hookflow.addresses import problem_of
from django_hookflow.conf import conf
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import TransportError
from django_hookflow.http import safe_text
from django_hookflow.transports.base import webhook_url
from django_hookflow.transports.limits import within
from django_hookflow.transports.signed import SignedTransport

logger = logging.getLogger("django_hookflow.transport")

# QStash's clock may be this much behind ours. It compares a hop with its quota
# by its own clock.
CLOCK_SKEW = timedelta(seconds=60)


class QStashTransport(SignedTransport):
    """Publishes with the official client."""

    def __init__(self) -> None:
        # Another one only when a test changes a setting.
        self._client_of = lru_cache(maxsize=1)(new_client)

    def send(self, delivery: Delivery) -> None:
        try:
            within(
                conf.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT, self._publish(delivery)
            )
        # The client raises httpx's errors, its own, those of a body that is
        # not JSON and, when it is made, those of the environment's variables.
        # Here they are all one.
        except Exception as error:
            raise TransportError(
                f"QStash did not accept the message: {explained(error)}"
            ) from None

    def _publish(self, delivery: Delivery) -> Callable[[], object]:
        return partial(
            self._client.message.publish,
            url=webhook_url(delivery.workflow_id),
            body=delivery.encode(),
            content_type="application/json",
            not_before=_not_before(delivery),
            deduplication_id=_deduplication_id(delivery),
            retries=conf.DJANGO_HOOKFLOW_QSTASH_RETRIES,
            # A comma would make two labels, an umlaut an invalid header.
            label=quote(delivery.workflow_id, safe=""),
            flow_control=_flow_control(),
        )

    def trouble(self) -> str:
        """Ask QStash for the signing keys, which is free of charge."""
        try:
            keys = within(
                conf.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT,
                lambda: self._client.signing_key.get(),
            )
        except Exception as error:
            logger.warning("QStash cannot be reached: %s", explained(error))
            # Without its text, which may contain the token.
            return (
                f"QStash cannot be reached ({type(error).__name__}). Compare "
                "QSTASH_URL and QSTASH_TOKEN with its console, and see its "
                "status page."
            )
        ours = {conf.QSTASH_CURRENT_SIGNING_KEY, conf.QSTASH_NEXT_SIGNING_KEY}
        if keys.current in ours:
            return ""
        return (
            "QStash signs with a key that this site does not know. Copy "
            "QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY from its "
            "console."
        )

    def check(self) -> list[CheckMessage]:
        return [*_check_url(), *_check_token(), *super().check()]

    @property
    def _client(self) -> QStash:
        """The client of the settings, which keeps its connections."""
        return self._client_of(
            conf.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT,
            conf.QSTASH_URL,
            conf.QSTASH_TOKEN,
        )


def explained(error: Exception) -> str:
    """Return the text of an error without the token of its request."""
    is_of_httpx = isinstance(error, httpx.HTTPError | httpx.InvalidURL)
    text = safe_text(error) if is_of_httpx else f"{error}"
    token = f"{conf.QSTASH_TOKEN or ''}".strip()
    return text.replace(token, "…") if token else text


def new_client(timeout: float, url: str, token: str) -> QStash:
    """Return an official client, with a timeout in seconds."""
    # Retries would only make the caller wait; the sweeper sends again.
    client = QStash(token, base_url=url, retry=False)
    # The client offers no timeout of its own (600 s; qstash 3.4.0).
    client.http._client.timeout = httpx.Timeout(timeout)
    return client


def _not_before(delivery: Delivery) -> int | None:
    """Return Unix seconds, rounded up, and at most one hop from now."""
    now = clock.now()
    if delivery.not_before is None or delivery.not_before <= now:
        return None
    due = min(delivery.not_before, now + _longest_hop()).timestamp()
    return math.ceil(due)


def _longest_hop() -> timedelta:
    quota = timedelta(seconds=conf.DJANGO_HOOKFLOW_MAX_DELAY)
    return max(quota - CLOCK_SKEW, quota / 2)


def _flow_control() -> FlowControl | None:
    """Limit all deliveries to this site together, by one key."""
    parallelism = conf.DJANGO_HOOKFLOW_PARALLELISM
    if not parallelism:
        return None
    host = urlsplit(conf.DJANGO_HOOKFLOW_DOMAIN).netloc
    key = re.sub(r"[^A-Za-z0-9._-]", "-", f"hookflow-{host}")
    return {"key": key, "parallelism": parallelism}


def _deduplication_id(delivery: Delivery) -> str:
    return f"{delivery.token}-{delivery.repeat}"


def _check_url() -> list[CheckMessage]:
    problem = problem_of(conf.QSTASH_URL)
    if not problem:
        return []
    return [
        Error(
            f"QSTASH_URL is {conf.QSTASH_URL!r}, {problem}.",
            hint='Leave it out for "https://qstash.upstash.io", or set it to '
            "where the embedded server listens.",
            id="django_hookflow.E009",
        )
    ]


def _check_token() -> list[CheckMessage]:
    token = conf.QSTASH_TOKEN
    if token and token == token.strip():
        return []
    if token:
        return [
            Error(
                "QSTASH_TOKEN begins or ends with white space, so QStash "
                "does not know it.",
                hint="Copy it from the QStash console, without spaces.",
                id="django_hookflow.E005",
            )
        ]
    return [
        Error(
            "QSTASH_TOKEN is not configured, so nothing can be published.",
            hint="Copy it from the QStash console; for the embedded server, "
            "any text will do that both sides know.",
            id="django_hookflow.E005",
        )
    ]
