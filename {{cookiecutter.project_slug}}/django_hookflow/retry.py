"""Decide which errors are worth another attempt, and when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

import httpx
from django.core.exceptions import FieldError
from django.core.exceptions import ImproperlyConfigured
from django.core.exceptions import MultipleObjectsReturned
from django.core.exceptions import ObjectDoesNotExist
from django.core.exceptions import PermissionDenied
from django.core.exceptions import SuspiciousOperation
from django.core.exceptions import ValidationError
from django.db import DataError
from django.db import IntegrityError
from django.db import NotSupportedError
from django.db import ProgrammingError
from django.http import Http404

from django_hookflow.exceptions import HookflowError
from django_hookflow.exceptions import RetryableError
from django_hookflow.exceptions import StepTimeout
from django_hookflow.exceptions import WorkflowError
from django_hookflow.exceptions import members
from django_hookflow.http import is_retryable_status

# The same input fails in the same way tomorrow: wrong values, wrong code,
# missing things. All other errors (networks, timeouts, deadlocks, the author's
# own) may not happen again.
PERMANENT: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    SyntaxError,
    TypeError,
    ValueError,
    FileNotFoundError,
    PermissionError,
    FieldError,
    ImproperlyConfigured,
    MultipleObjectsReturned,
    ObjectDoesNotExist,
    SuspiciousOperation,
    PermissionDenied,
    ValidationError,
    Http404,
    DataError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    httpx.InvalidURL,
    httpx.LocalProtocolError,
    httpx.UnsupportedProtocol,
    HookflowError,
)

# Seconds: neither a server nor a policy may ask for a longer pause.
LONGEST = 30 * 24 * 3600.0

# SQLSTATEs of prepared statements behind a pooler, whose other server has not
# prepared them, or has already: on the next connection they work.
# https://www.postgresql.org/docs/18/errcodes-appendix.html
UNPREPARED = frozenset({"26000", "42P05"})

# The function of PostgreSQL that refuses a prepared statement when its table
# has other columns, as after a deploy. Its SQLSTATE, 0A000, also stands for
# features that PostgreSQL does not have, which another attempt cannot change.
# https://github.com/postgres/postgres/blob/REL_18_0/src/backend/utils/cache/plancache.c
CHANGED_TABLE = "RevalidateCachedQuery"

# Exceptions to the list above.
TRANSIENT: tuple[type[Exception], ...] = (RetryableError, StepTimeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a failed step is tried again: by default after 1, 10, 100 s.

    `delay`, `maximum`: seconds. `factor`: each delay is this many times the
    one before.
    """

    retries: int = 3
    delay: float = 1
    factor: float = 10
    maximum: float = 3600

    def __post_init__(self) -> None:
        if type(self.retries) is not int or self.retries < 0:
            raise ValueError(
                f"Invalid retries {self.retries!r}, expected a whole number "
                "from 0."
            )
        for name in ("delay", "factor", "maximum"):
            _check_number(name, getattr(self, name))

    def delay_before(self, attempt: int, error: BaseException) -> float | None:
        """Return the seconds before retry number `attempt`, None to give up.

        The first retry is 1. Looks at the error's cause, because steps wrap
        the errors they catch in WorkflowError.
        """
        if attempt > self.retries or not is_retryable_error(error):
            return None
        asked = _asked_by(error)
        return _limited(self._own(attempt) if asked is None else asked)

    def _own(self, attempt: int) -> float:
        try:
            return min(self.maximum, self.delay * self.factor ** (attempt - 1))
        except OverflowError:
            return self.maximum


def checked_policy(retry: object) -> RetryPolicy | None:
    """Return `retry` if it is a policy or None, else raise TypeError."""
    if retry is None or isinstance(retry, RetryPolicy):
        return retry
    raise TypeError(
        f"Invalid retry {retry!r}, expected a RetryPolicy. Write "
        "retry=RetryPolicy(retries=3)."
    )


def _check_number(name: str, value: object) -> None:
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(
            f"Invalid {name} {value!r}, expected a number from 0."
        )


def _asked_by(error: BaseException) -> float | None:
    """Return the seconds that an error asks for; of a group, the longest."""
    asked = [*map(_asked, (error, *members(error)))]
    return max((s for s in asked if s is not None), default=None)


def _asked(error: BaseException) -> float | None:
    """Read `retry_after`, which in other libraries may be any type."""
    wanted = getattr(error, "retry_after", None)
    if isinstance(wanted, timedelta):
        return wanted.total_seconds()
    return wanted if isinstance(wanted, int | float) else None


def _limited(seconds: float) -> float:
    """Return `seconds` limited to 0 to LONGEST."""
    return float(min(max(0, seconds), LONGEST))


def is_retryable_error(error: BaseException) -> bool:
    """True when another attempt may succeed, judged by type, never by text.

    Of a group, all members must be: the next attempt meets them again.
    """
    seen: set[int] = set()
    while isinstance(error, WorkflowError) and error.__cause__ is not None:
        if id(error) in seen:
            return False
        seen.add(id(error))
        error = error.__cause__
    return all(map(_may_succeed, members(error)))


def _may_succeed(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return is_retryable_status(error.response.status_code)
    if not isinstance(error, Exception):
        return False
    if _has_lost_its_statement(error):
        return True
    return isinstance(error, TRANSIENT) or not isinstance(error, PERMANENT)


def _has_lost_its_statement(error: BaseException) -> bool:
    """True when a connection must prepare a statement again.

    The driver's error says so; Django's has it as its cause.
    """
    for origin in (error, error.__cause__):
        diag = getattr(origin, "diag", None)
        if getattr(diag, "source_function", None) == CHANGED_TABLE:
            return True
        if getattr(origin, "sqlstate", None) in UNPREPARED:
            return True
    return False
