"""Retry dead letters."""

from __future__ import annotations

from django.db import transaction

from django_hookflow.operations.start import begin
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.database import using


def retry(key: int) -> str:
    """Begin a failed run again behind its completed steps, as a new run.

    `key`: the primary key of its dead letter. Returns the new run's id.
    """
    with transaction.atomic(using()):
        run = WorkflowPersistence.retry(key)
        begin(run)
    return run.run_id
