"""Steer runs that are under way."""

from __future__ import annotations

from functools import partial

from django.db import transaction

from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.controls import Stopped
from django_hookflow.persistence.database import using
from django_hookflow.sending import send


def cancel_run(run_id: str) -> None:
    """Stop a run, undo its steps that have a compensation, and its children.

    A run that waits stops at once. One at work stops as soon as the step
    under way is recorded, unless it completes with that. It ends `cancelled`,
    or `compensated` when it had something to undo. The request is a part of
    the caller's transaction; the same one again changes nothing. Raises
    RunNotFound, and RunNotOpen when the run has ended or is rolled back
    already.
    """
    with transaction.atomic(using()):
        stopped = WorkflowPersistence.cancel(run_id)
        transaction.on_commit(partial(_follow_up, stopped), using())


def _follow_up(stopped: Stopped) -> None:
    for message in stopped.follow_up():
        send(message)
