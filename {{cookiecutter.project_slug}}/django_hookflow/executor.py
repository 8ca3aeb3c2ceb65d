"""Start runs by the name of their workflow, and steer them by their ids.

An id stays good when its run is retried: each method acts on the last run
that continues it.
"""

from __future__ import annotations

from typing import Any

from django_hookflow.exceptions import RunNotFound
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.control import cancel_run
from django_hookflow.operations.control import resume_run
from django_hookflow.operations.control import wake_run
from django_hookflow.operations.letters import retry_run
from django_hookflow.states import Request
from django_hookflow.workflows.registry import get_workflow


class WorkflowHandle(str):
    """The id of a run that was started."""

    __slots__ = ()

    @property
    def run_id(self) -> str:
        return str(self)


class WorkflowExecutor:
    """The operations on runs as one object."""

    def start(
        self,
        name: str,
        input: dict[str, Any] | None = None,  # noqa: A002  # as promised
    ) -> WorkflowHandle:
        """Start the latest version of a workflow; return at once.

        Raises WorkflowNotFound, and what trigger() raises.
        """
        return WorkflowHandle(get_workflow(name).trigger(data=input))

    def status(self, run_id: str) -> WorkflowRun:
        """Return the current row of a run; raises RunNotFound."""
        run = WorkflowRun.objects.current(run_id)
        if run is None:
            raise RunNotFound(run_id)
        return run

    def resume(self, run_id: str) -> None:
        """Let a paused run go on, or one that waits look whether it can.

        Raises RunNotFound, and RunNotPaused when it has ended.
        """
        run = self.status(run_id)
        is_paused = run.requested == Request.PAUSE or run.is_finished
        (resume_run if is_paused else wake_run)(run.run_id)

    def cancel(self, run_id: str) -> None:
        """Stop a run, and undo its steps.

        One that failed since steps could not be undone goes on with that, as
        a retry. Raises RunNotFound, and RunNotOpen when there is nothing to
        stop and nothing to undo.
        """
        run = self.status(run_id)
        (retry_run if run.rollback_failed else cancel_run)(run.run_id)
