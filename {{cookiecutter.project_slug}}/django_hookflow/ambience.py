"""Give each delivery its own language, time zone and decimal context."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from contextvars import copy_context
from typing import ParamSpec
from typing import TypeVar

from django.utils import timezone
from django.utils import translation

P = ParamSpec("P")
T = TypeVar("T")


def in_its_own(
    function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call in a copy of the context, so that no change in it stays.

    It begins with the language and time zone of the settings and Python's
    default decimal context, whatever a request or an earlier delivery has
    set in this thread.
    """
    return copy_context().run(_with_defaults, function, *args, **kwargs)


def _with_defaults(
    function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    translation.deactivate()
    timezone.deactivate()
    decimal.setcontext(decimal.DefaultContext.copy())
    return function(*args, **kwargs)
