"""`@workflow`: makes a function durable and registers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import overload

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
    deprecated: bool = ...,
) -> Callable[[WorkflowFunction], WorkflowWrapper]: ...


def workflow(
    function: WorkflowFunction | None = None,
    /,
    *,
    workflow_id: str | None = None,
    retry: RetryPolicy | None = None,
    version: int = 1,
    deprecated: bool = False,
) -> WorkflowWrapper | Callable[[WorkflowFunction], WorkflowWrapper]:
    """Declare a workflow: `@workflow` or `@workflow(workflow_id="…")`.

    `workflow_id`: the function's name unless given; runs keep it, so do not
    change it while there are any. `retry`: for steps without their own.
    `version`: a whole number; a run keeps the one that it began with, so the
    functions of older ones stay beside the newest until their runs have
    ended. `deprecated`: it still runs, and to start it warns.
    """

    def declare(function: WorkflowFunction) -> WorkflowWrapper:
        wrapper = WorkflowWrapper(
            function,
            workflow_id,
            retry,
            version=version,
            deprecated=deprecated,
        )
        register(wrapper)
        return wrapper

    return declare if function is None else declare(function)
