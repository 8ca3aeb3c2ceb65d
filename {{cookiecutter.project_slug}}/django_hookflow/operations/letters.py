"""Retry dead letters."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from django_hookflow.models import WorkflowRun
from django_hookflow.operations.start import begin
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.database import using
from django_hookflow.workflows.registry import get_workflow


def retry(key: int) -> str:
    """Begin a failed run again behind its completed steps, as a new run.

    `key`: the primary key of its dead letter. Returns the new run's id.
    It has as long as its version of the workflow gives a run. Raises
    WorkflowNotFound when that is not deployed.
    """
    with transaction.atomic(using()):
        run = WorkflowPersistence.retry(key, _timeout_of)
        begin(run)
    return run.run_id


def _timeout_of(run: WorkflowRun) -> timedelta | None:
    return get_workflow(run.workflow_id, run.version).timeout
