"""Decide the next state of a message after an attempt; pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from . import expression
from .clock import DAY
from .clock import SECOND
from .durations import parse_wait
from .messages import Attempt
from .messages import Response

NON_RETRYABLE = 489
# In the order in which they are used.
WAIT_HEADERS = (
    "retry-after",
    "x-ratelimit-reset",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
)


@dataclass(frozen=True)
class Delivered:
    """The destination accepted the message."""


@dataclass(frozen=True)
class Retry:
    """The next attempt, at Unix milliseconds `due`."""

    due: int


@dataclass(frozen=True)
class Again:
    """Delivered, and once more at `due`, as the status page asked."""

    due: int


@dataclass(frozen=True)
class GivenUp:
    """No more attempts; a dead letter is written."""


@dataclass(frozen=True)
class Dropped:
    """The attempt failed and the message was cancelled meanwhile."""


Verdict = Delivered | Again | Retry | GivenUp | Dropped


@dataclass(frozen=True)
class Changes:
    """Changes requested while the attempt was in flight."""

    cancelled: bool = False
    again_at: int | None = None


def settle(attempt: Attempt, changes: Changes, now: int) -> Verdict:
    """Decide; an attempt in flight is not aborted by a cancel.

    If it succeeds although the message was cancelled, it is delivered: that
    is what happened (choice 17). Redirects are not followed and count
    as failures, since the signature binds the URL (choice 9).
    """
    if attempt.response.ok and changes.again_at is not None:
        return Again(changes.again_at)
    if attempt.response.ok:
        return Delivered()
    if changes.cancelled:
        return Dropped()
    delivery = attempt.delivery
    if delivery.retried >= delivery.max_retries or _is_final(attempt):
        return GivenUp()
    return Retry(now + retry_delay(attempt, now))


def retry_delay(attempt: Attempt, now: int) -> int:
    """Return the milliseconds until the next attempt.

    A header of the response wins over the expression of the publisher: the
    receiver knows better when it is ready (choice 15). More than a day is
    ignored.
    """
    asked = _asked_wait(attempt.response, now)
    if asked is not None and asked <= DAY:
        return asked
    delivery = attempt.delivery
    if delivery.options.retry_delay:
        return expression.delay(delivery.options.retry_delay, delivery.retried)
    return backoff(delivery.retried + 1)


def backoff(n: int) -> int:
    """Return the milliseconds before retry `n`: e^(2.5 n) s, at most 1 d."""
    if n >= 5:
        return DAY
    return math.floor(math.exp(2.5 * n)) * SECOND


def failure(attempt: Attempt) -> str:
    """Return the `error` text of a failed attempt."""
    if attempt.error:
        return attempt.error
    return f"destination answered with status {attempt.response.status}"


def _is_final(attempt: Attempt) -> bool:
    """489 needs its header too, else it is retried like any other."""
    header = attempt.response.header("upstash-nonretryable-error") or ""
    status = attempt.response.status
    return status == NON_RETRYABLE and header.lower() == "true"


def _asked_wait(response: Response, now: int) -> int | None:
    for name in WAIT_HEADERS:
        value = response.header(name)
        wait = None if value is None else parse_wait(value, now)
        if wait is not None:
            return wait
    return None
