"""`@workflow`: makes a function durable and registers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
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
    input: Any = ...,
    output: Any = ...,
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
    input: Any = None,  # noqa: A002  # the word of the author
    output: Any = None,
) -> WorkflowWrapper | Callable[[WorkflowFunction], WorkflowWrapper]:
    """Declare a workflow: `@workflow` or `@workflow(workflow_id="…")`.

    `workflow_id`: the function's name unless given; runs keep it, so do not
    change it while there are any. `retry`: for steps without their own.
    `version`: a whole number; a run keeps the one that it began with, so the
    functions of older ones stay beside the newest until their runs have
    ended. `timeout`: how long a run may last, seconds or text such as "24h";
    without it, for ever. `deprecated`: it still runs, and to start it warns.
    `input`, `output`: the types of its data and of its result, which are
    checked before they are recorded: a dataclass, a Pydantic model, a
    TypedDict, whatever Pydantic's TypeAdapter takes, or a serializer class of
    the REST framework.
    """

    def declare(function: WorkflowFunction) -> WorkflowWrapper:
        wrapper = WorkflowWrapper(
            function,
            workflow_id,
            retry,
            version=version,
            timeout=timeout,
            deprecated=deprecated,
            input=input,
            output=output,
        )
        register(wrapper)
        return wrapper

    return declare if function is None else declare(function)
