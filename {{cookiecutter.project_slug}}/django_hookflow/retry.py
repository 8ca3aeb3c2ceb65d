"""Which errors are worth another attempt, and when."""

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
from django_hookflow.exceptions import WorkflowError
from django_hookflow.exceptions import members
from django_hookflow.http import is_retryable_status

# The same input fails the same way tomorrow: wrong values, wrong code, things
# that are not there. Anything else (networks, timeouts, deadlocks, errors of
# one's own) may pass.
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

# SQLSTATEs of statements that a pooler's other server has not prepared, or has
# already: on the next connection they work.
# https://www.postgresql.org/docs/18/errcodes-appendix.html
UNPREPARED = frozenset({"26000", "42P05"})

# The function of PostgreSQL that refuses a prepared statement since its table
# has other columns now, as after a deploy. The SQLSTATE of that, 0A000, says
# as well that a statement uses what PostgreSQL cannot do, which never passes.
# https://github.com/postgres/postgres/blob/REL_18_0/src/backend/utils/cache/plancache.c
OF_A_PLAN = "RevalidateCachedQuery"

# Exceptions to the list above.
TRANSIENT: tuple[type[Exception], ...] = (RetryableError,)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a failed step is tried again: by default after 1, 10, 100 s.

    `delay`, `maximum`: seconds. `factor`: what each delay is of the one
    before.
    """

    retries: int = 3
    delay: float = 1
    factor: float = 10
    maximum: float = 3600

    def __post_init__(self) -> None:
        if type(self.retries) is not int or self.retries < 0:
            raise ValueError(
                f"retries is {self.retries!r}. Use a whole number from 0."
            )
        for name in ("delay", "factor", "maximum"):
            _refuse_no_measure(name, getattr(self, name))

    def delay_before(self, attempt: int, error: BaseException) -> float | None:
        """Seconds to wait before retry number `attempt`, None to give up.

        The first retry is 1. Looks at the error's cause, because steps wrap
        what they catch in WorkflowError.
        """
        if attempt > self.retries or not is_retryable_error(error):
            return None
        wanted = _wanted(error)
        return _within_reason(self._own(attempt) if wanted is None else wanted)

    def _own(self, attempt: int) -> float:
        try:
            return min(self.maximum, self.delay * self.factor ** (attempt - 1))
        except OverflowError:
            return self.maximum


def checked_policy(retry: object) -> RetryPolicy | None:
    """`retry` if it is a policy or None; TypeError says what to write."""
    if retry is None or isinstance(retry, RetryPolicy):
        return retry
    raise TypeError(
        f"retry is {retry!r}, no RetryPolicy. Write "
        "retry=RetryPolicy(retries=3)."
    )


def _refuse_no_measure(name: str, value: object) -> None:
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value!r}. Use a number from 0.")


def _wanted(error: BaseException) -> float | None:
    """Seconds that the error itself asks for; of a group, the longest."""
    asked = [*map(_asked, (error, *members(error)))]
    return max((s for s in asked if s is not None), default=None)


def _asked(error: BaseException) -> float | None:
    """The attribute of another library may be a timedelta, or no number."""
    wanted = getattr(error, "retry_after", None)
    if isinstance(wanted, timedelta):
        return wanted.total_seconds()
    return wanted if isinstance(wanted, int | float) else None


def _within_reason(seconds: float) -> float:
    """Finite, and neither in the past nor beyond LONGEST."""
    return float(min(max(0, seconds), LONGEST))


def is_retryable_error(error: BaseException) -> bool:
    """Whether another attempt may succeed, judged by type, never by text.

    A group may if all of its members may: the next attempt meets them again.
    """
    seen: set[int] = set()
    while isinstance(error, WorkflowError) and error.__cause__ is not None:
        if id(error) in seen:
            return False
        seen.add(id(error))
        error = error.__cause__
    return all(map(_may_pass, members(error)))


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return is_retryable_status(error.response.status_code)
    if not isinstance(error, Exception):
        return False
    if _has_lost_its_statement(error):
        return True
    return isinstance(error, TRANSIENT) or not isinstance(error, PERMANENT)


def _has_lost_its_statement(error: BaseException) -> bool:
    """Whether a connection must prepare a statement anew.

    A driver's error knows, which Django's has as its cause.
    """
    for origin in (error, error.__cause__):
        diag = getattr(origin, "diag", None)
        if getattr(diag, "source_function", None) == OF_A_PLAN:
            return True
        if getattr(origin, "sqlstate", None) in UNPREPARED:
            return True
    return False
