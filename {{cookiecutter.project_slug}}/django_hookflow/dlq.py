"""Dead letters: runs that have failed, and how to retry them."""

from __future__ import annotations

from typing import Any

from django.db import models

from django_hookflow.workflows.registry import get_workflow


class DeadLetterEntry(models.Model):
    """One for each run that failed; the run is kept until it is retried."""

    # Its row, which has the journal; null when that was deleted.
    workflow_run = models.ForeignKey(
        "django_hookflow.WorkflowRun", models.SET_NULL, null=True, blank=True,
        related_name="dead_letters",
    )  # fmt: skip
    workflow_id = models.CharField(max_length=255)
    run_id = models.CharField(max_length=255)
    # The first run of those that this one is a replay of; or itself.
    root_id = models.CharField(max_length=255)
    error_type = models.CharField(max_length=255)
    error_message = models.TextField()
    is_replayed = models.BooleanField(default=False)
    replayed_as = models.CharField(max_length=255, blank=True, default="")
    created_at = models.DateTimeField()
    replayed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "django_hookflow"
        ordering = ("-created_at",)
        verbose_name_plural = "dead letter entries"
        indexes = (
            models.Index(fields=["is_replayed", "created_at"]),
            models.Index(fields=["run_id"]),
            models.Index(fields=["root_id"]),
        )

    def __str__(self) -> str:
        return f"{self.workflow_id} {self.run_id}"

    @property
    def payload(self) -> dict[str, Any]:
        """Return the data of the run, and the results of its steps by id.

        Empty when the run was deleted.
        """
        run = self.workflow_run
        if run is None:
            return {}
        steps = run.step_executions.filter(status="completed")
        return {
            "data": run.data,
            "root_id": run.root_id,
            "completed_steps": dict(steps.values_list("step_id", "result")),
        }

    def replay(self) -> str:
        """Begin a new run behind the completed steps, and return its id.

        Those are not executed again, and the rest keeps the idempotency keys
        of the first run. Raises AlreadyReplayed the second time, RunNotFound
        when the run was deleted, and WorkflowNotFound when the code is gone.
        """
        return get_workflow(self.workflow_id).replay(self)
