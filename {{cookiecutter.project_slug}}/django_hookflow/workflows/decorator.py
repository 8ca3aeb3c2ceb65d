"""`@workflow`: makes a function durable and gives it `.trigger()`."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING
from typing import Any
from typing import overload

from django_hookflow.retry import RetryPolicy
from django_hookflow.workflows.context import WorkflowContext
from django_hookflow.workflows.registry import register

if TYPE_CHECKING:
    from django_hookflow.dlq import DeadLetterEntry

WorkflowFunction = Callable[[WorkflowContext], Any]

# It stands in an address: anything but slashes, what cannot be seen, and the
# dots that mean a folder and the one around it.
WORKFLOW_ID = re.compile(r"(?!\.{1,2}\Z)[^/\x00-\x1f\x7f]{1,200}")


class WorkflowWrapper:
    """A durable function. Called, it is still the plain function."""

    def __init__(
        self,
        function: WorkflowFunction,
        workflow_id: str | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        _refuse_async(function)
        self.function = function
        self.workflow_id = workflow_id or function.__name__
        self.retry = retry or RetryPolicy()
        if not WORKFLOW_ID.fullmatch(self.workflow_id):
            raise ValueError(
                f"{self.workflow_id!r} is no workflow id. "
                'Use up to 200 letters without "/", such as "process-order", '
                'and more than "." or "..".'
            )

    @property
    def name(self) -> str:
        """Where the function is, for people."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    def __call__(self, ctx: WorkflowContext) -> Any:
        return self.function(ctx)

    def trigger(
        self, data: dict[str, Any] | None = None, run_id: str | None = None
    ) -> str:
        """Start a run and return its id at once.

        The run is a row of the caller's transaction: it starts when that
        commits, and never if it rolls back. The same `run_id` again is the
        same run; with other data it raises RunConflict. `data` must be plain
        or of a type the journal knows, else SerializationError. QStash being
        slow or away does not fail it: the sweeper sends what could not be.
        """
        started: str = _engine().trigger(self, data=data, run_id=run_id)
        return started

    def replay(self, letter: DeadLetterEntry) -> str:
        """Begin the run of a dead letter again behind its completed steps.

        Returns the id of the new run. Raises AlreadyReplayed the second time.
        """
        begun: str = _engine().replay(letter)
        return begun


def _engine() -> ModuleType:
    # The one import that points up: authors call workflows, and what runs
    # them stands above everything that authors touch.
    from django_hookflow import engine

    return engine


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


def _refuse_async(function: WorkflowFunction) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(
        function
    ):
        raise TypeError(
            f"{function.__qualname__} is no plain function, so the engine "
            "cannot replay it. Write `def`, without async and yield; inside "
            "a step, asgiref.sync.async_to_sync calls async code."
        )
