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
    *, workflow_id: str | None = ..., retry: RetryPolicy | None = ...
) -> Callable[[WorkflowFunction], WorkflowWrapper]: ...


def workflow(
    function: WorkflowFunction | None = None,
    /,
    *,
    workflow_id: str | None = None,
    retry: RetryPolicy | None = None,
) -> WorkflowWrapper | Callable[[WorkflowFunction], WorkflowWrapper]:
    """Declare a workflow: `@workflow` or `@workflow(workflow_id="…")`.

    `workflow_id`: the function's name unless given; runs keep it, so do not
    change it while there are any. `retry`: for steps without their own.
    """

    def declare(function: WorkflowFunction) -> WorkflowWrapper:
        wrapper = WorkflowWrapper(function, workflow_id, retry)
        register(wrapper)
        return wrapper

    return declare if function is None else declare(function)
