"""A durable function: its id, its policy, and `.trigger()`."""

from __future__ import annotations

import functools
import inspect
import logging
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from typing import Protocol

from django.db.models import Model

from django_hookflow import clock
from django_hookflow.clock import Duration
from django_hookflow.names import is_name
from django_hookflow.retry import RetryPolicy
from django_hookflow.retry import checked_policy
from django_hookflow.serialization import dumps
from django_hookflow.workflows.context import WorkflowContext
from django_hookflow.workflows.inputs import data_type

logger = logging.getLogger("django_hookflow")

WorkflowFunction = Callable[[WorkflowContext], Any]

# Part of a URL, so without slashes, control characters, "." and "..". A lambda
# has no name of its own.
WORKFLOW_ID = re.compile(r"(?!\.{1,2}\Z|<lambda>\Z)[^/]{1,200}")

NEWEST = 2**31 - 1  # version that a database keeps as an integer


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowInfo:
    """The facts of one version of a workflow."""

    name: str  # its workflow_id
    version: int
    timeout: timedelta | None  # how long a run may last; None is for ever
    deprecated: bool
    input_schema: dict[str, Any] | None = None  # JSON schema; None is any
    output_schema: dict[str, Any] | None = None


class Letter(Protocol):
    """A DeadLetterEntry, by as much as a workflow looks at."""

    pk: Any
    run_id: str
    workflow_id: str


class WorkflowWrapper:
    """A durable function. Called, it is still the plain function."""

    def __init__(
        self,
        function: WorkflowFunction,
        workflow_id: str | None = None,
        retry: RetryPolicy | None = None,
        *,
        version: int = 1,
        timeout: Duration | None = None,
        deprecated: bool = False,
        input: Any = None,  # noqa: A002  # as @workflow(input=…)
        output: Any = None,
    ) -> None:
        _refuse_what_is_no_workflow(function)
        functools.update_wrapper(self, function)
        self.function = function
        self.workflow_id = _checked_id(
            function.__name__ if workflow_id is None else workflow_id
        )
        self.retry = checked_policy(retry) or RetryPolicy()
        self.version = _checked_version(version)
        self.timeout = (
            None
            if timeout is None
            else clock.checked("timeout", timeout, least=1)
        )
        self.deprecated = deprecated
        self.input, self.output = data_type(input), data_type(output)

    def input_schema(self) -> dict[str, Any] | None:
        """Return the JSON schema of the data; None when it may be any dict."""
        return None if self.input is None else self.input.schema()

    def output_schema(self) -> dict[str, Any] | None:
        """Return the JSON schema of the result; None when it may be any."""
        return None if self.output is None else self.output.schema()

    @property
    def info(self) -> WorkflowInfo:
        return WorkflowInfo(
            name=self.workflow_id,
            version=self.version,
            timeout=self.timeout,
            deprecated=self.deprecated,
            input_schema=self.input_schema(),
            output_schema=self.output_schema(),
        )

    @property
    def name(self) -> str:
        """Where the function is, for people."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def place(self) -> str:
        """Return the file and line of the function, as editors open it."""
        inner: Any = inspect.unwrap(self.function)
        function: Any = inner if inspect.isfunction(inner) else self.function
        code = function.__code__
        return f"{code.co_filename}:{code.co_firstlineno}"

    @property
    def suggestion(self) -> str:
        """An id that no workflow of another app has."""
        app = self.function.__module__.removesuffix(".workflows")
        return f"{app.rpartition('.')[2]}-{self.workflow_id}"

    def __call__(self, ctx: WorkflowContext) -> Any:
        return self.function(ctx)

    def checked(self, ctx: WorkflowContext) -> Any:
        """Call the function and check what it returns by `output=`."""
        assert self.output is not None
        result = self.function(ctx)
        return self.output.checked(result, f"The result of run {ctx.run_id!r}")

    def accepted(self, data: Any, what: str) -> str:
        """Return data for a run of this version as JSON text.

        Raises InvalidData when it does not fit `input=`, TypeError when it
        has to be a dict, and SerializationError.
        """
        given = {} if data is None else data
        if self.input is not None:
            given = self.input.checked(given, what)
        elif not isinstance(given, dict):
            raise TypeError(
                f"{what} must be a dict, not {type(data).__name__}. Write "
                '{"order_id": order.pk}, or declare the type of the data by '
                "@workflow(input=…)."
            )
        return dumps(given, what)

    def trigger(
        self,
        data: Any = None,
        run_id: str | None = None,
        *,
        delay: Duration = 0,
        owner: object = None,
        about: Model | None = None,
    ) -> str:
        """Start a run of this version and return its id at once.

        The run is a row of the caller's transaction: it starts when that
        commits, and never if it rolls back. The same `run_id` again is the
        same run; with other data it raises RunConflict. `data` is a dict of
        what is plain or of a type the journal knows, else SerializationError;
        or what `input=` declares, else InvalidData. QStash being slow or away
        does not fail it: the sweeper sends what could not be.
        `delay`: seconds, a timedelta or text such as "7d" until it begins.
        `owner`: a saved user, kept by its key as text, or a text. `about`: a
        saved row; WorkflowRun.objects.for_object(row) finds the run by it.
        """
        # The one import that points up: authors call workflows, and what
        # runs them stands above everything that authors touch.
        from django_hookflow.operations.start import trigger

        if self.deprecated:
            self._warn()
        return trigger(
            self,
            data=data,
            run_id=run_id,
            delay=delay,
            owner=owner,
            about=about,
        )

    def _warn(self) -> None:
        text = (
            f"Version {self.version} of workflow {self.workflow_id!r} is "
            f"deprecated, and {self.name} has started another run of it. "
            f"Start the latest: get_workflow({self.workflow_id!r}).trigger()."
        )
        warnings.warn(text, DeprecationWarning, stacklevel=3)
        logger.warning(text)

    def replay(self, letter: Letter) -> str:
        """Begin the run of a dead letter again behind its completed steps.

        Returns the id of the new run. Raises AlreadyReplayed the second time,
        and ValueError for the letter of another workflow.
        """
        if letter.workflow_id != self.workflow_id:
            raise ValueError(
                f"The dead letter of run {letter.run_id!r} is of the workflow "
                f"{letter.workflow_id!r}, not of {self.workflow_id!r}. Call "
                "letter.replay(), which finds its workflow."
            )
        from django_hookflow.operations.letters import retry

        return retry(letter.pk)


def _checked_version(version: object) -> int:
    if type(version) is int and 1 <= version <= NEWEST:
        return version
    raise ValueError(
        f"Invalid version {version!r}, expected a whole number from 1 to "
        f"{NEWEST:,}. Write @workflow(version=2)."
    )


def _checked_id(workflow_id: object) -> str:
    if (
        isinstance(workflow_id, str)
        and is_name(workflow_id)
        and WORKFLOW_ID.fullmatch(workflow_id)
    ):
        return workflow_id
    raise ValueError(
        f"Invalid workflow id {workflow_id!r}. Use 1 to 200 characters "
        'without "/" (and not "." or ".."), for example "process-order".'
    )


def _refuse_what_is_no_workflow(function: object) -> None:
    if not inspect.isfunction(function):
        raise TypeError(
            f"{function!r} is not a function, so it cannot be a workflow. "
            "Write @workflow above a def; an id is given by its name, as in "
            '@workflow(workflow_id="process-order").'
        )
    _refuse_async(function)
    _refuse_signature(function)


def _refuse_signature(function: WorkflowFunction) -> None:
    """It is called with the context alone, again at every replay."""
    # Not of what a decorator wraps: it may give the rest of the arguments.
    signature = inspect.signature(function, follow_wrapped=False)
    try:
        signature.bind(None)
    except TypeError as error:
        raise TypeError(
            f"{function.__qualname__}{signature} cannot be called with a "
            f"context alone: {error}. Write def {function.__name__}(ctx), and "
            "give it the rest by trigger(data={…})."
        ) from None


def _refuse_async(function: WorkflowFunction) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(
        function
    ):
        raise TypeError(
            f"{function.__qualname__} is not a plain function, so the engine "
            "cannot replay it. Write `def`, without async and yield; inside "
            "a step, asgiref.sync.async_to_sync calls async code."
        )
