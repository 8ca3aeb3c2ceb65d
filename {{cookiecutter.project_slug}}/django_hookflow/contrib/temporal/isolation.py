"""Give each activity database connections that work.

A request closes what is broken or too old before and after it; activities
have no request.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.core.cache import close_caches
from django.db import close_old_connections
from django.db import reset_queries
from temporalio.worker import ActivityInboundInterceptor
from temporalio.worker import ExecuteActivityInput
from temporalio.worker import Interceptor


class ConnectionInterceptor(Interceptor):
    """Cleans up in the thread that runs the activity's database calls."""

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002
    ) -> ActivityInboundInterceptor:
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        wrap = (
            _around_async if inspect.iscoroutinefunction(input.fn) else _around
        )
        input.fn = wrap(input.fn)
        return await super().execute_activity(input)


def _around(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        _clean_up()
        try:
            return function(*args, **kwargs)
        finally:
            _clean_up()

    return wrapped


def _around_async(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        await sync_to_async(_clean_up)()
        try:
            return await function(*args, **kwargs)
        finally:
            # Also when the activity is cancelled.
            await asyncio.shield(sync_to_async(_clean_up)())

    return wrapped


def _clean_up() -> None:
    reset_queries()
    close_old_connections()
    close_caches()
