"""Dead letters: what failed for good, and how to begin it again."""

from __future__ import annotations

from django.db import models

from django_hookflow.fields import JSONTextField
from django_hookflow.workflows.registry import get_workflow


class DeadLetterEntry(models.Model):
    """One for each run that failed, with all that a replay needs."""

    workflow_id = models.CharField(max_length=255)
    run_id = models.CharField(max_length=255)
    # The first run of those that this one is a replay of; or itself.
    root_id = models.CharField(max_length=255)
    # {"data": …, "root_id": …, "completed_steps": [entry, …]}
    payload = JSONTextField()
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

    def replay(self) -> str:
        """Begin a new run behind the completed steps, and return its id.

        Those are not executed again, and the rest keeps the idempotency keys
        of the first run. Raises AlreadyReplayed the second time, and
        WorkflowNotFound when the code is gone.
        """
        return get_workflow(self.workflow_id).replay(self)
