"""`@workflow`: makes a function durable and registers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import overload

from django_hookflow.clock import Duration
from django_hookflow.retry import RetryPolicy
from django_hookflow.workflows.registry import register
from django_hookflow.workflows.wrapper import WorkflowFunction
from django_hookflow.workflows.wrapper import WorkflowWrapper

__all__ = ["WorkflowWrapper", "workflow"]


@overload
def workflow(function: WorkflowFunction, /) -> WorkflowWrapper: ...


@overload
def workflow(
    *,
    workflow_id: str | None = ...,
    retry: RetryPolicy | None = ...,
    version: int = ...,
    timeout: Duration | None = ...,
    deprecated: bool = ...,
) -> Callable[[WorkflowFunction], WorkflowWrapper]: ...


def workflow(
    function: WorkflowFunction | None = None,
    /,
    *,
    workflow_id: str | None = None,
    retry: RetryPolicy | None = None,
    version: int = 1,
    timeout: Duration | None = None,
    deprecated: bool = False,
) -> WorkflowWrapper | Callable[[WorkflowFunction], WorkflowWrapper]:
    """Declare a workflow: `@workflow` or `@workflow(workflow_id="…")`.

    `workflow_id`: the function's name unless given; runs keep it, so do not
    change it while there are any. `retry`: for steps without their own.
    `version`: a whole number; a run keeps the one that it began with, so the
    functions of older ones stay beside the newest until their runs have
    ended. `timeout`: how long a run may last, seconds or text such as "24h";
    without it, for ever. `deprecated`: it still runs, and to start it warns.
    """

    def declare(function: WorkflowFunction) -> WorkflowWrapper:
        wrapper = WorkflowWrapper(
            function,
            workflow_id,
            retry,
            version=version,
            timeout=timeout,
            deprecated=deprecated,
        )
        register(wrapper)
        return wrapper

    return declare if function is None else declare(function)
