"""Steer runs that are under way.

`by` and `reason` say who did it, a saved user or a text, and why: each change
is an AuditEntry of its run.
"""

from __future__ import annotations

from functools import partial

from django.db import transaction

from django_hookflow.operations.audit import audited
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.controls import Stopped
from django_hookflow.persistence.database import using
from django_hookflow.sending import send
from django_hookflow.sending import send_after_commit


def pause_run(run_id: str, *, by: object = None, reason: str = "") -> None:
    """Let a run rest until resume_run, and the runs that it has invoked.

    A run that waits is `paused` at once. One at work is as soon as the step
    under way is recorded, unless it ends with that. Events that come
    meanwhile are there when it goes on, and the times of its sleeps and time
    limits run on. The request is a part of the caller's transaction; the same
    one again changes nothing. Raises RunNotFound, and RunNotOpen when the run
    has ended, is rolled back or is to be cancelled.
    """
    with audited("pause", run_id, by, reason):
        stopped = WorkflowPersistence.pause(run_id)
        transaction.on_commit(partial(_follow_up, stopped), using())


def resume_run(run_id: str, *, by: object = None, reason: str = "") -> None:
    """Let a paused run go on, and the paused runs that it has invoked.

    It goes on at once if its time has come, or what it waits for may have.
    One that was asked to pause and has not yet, does not. Raises RunNotFound,
    and RunNotPaused.
    """
    with audited("resume", run_id, by, reason):
        send_after_commit(WorkflowPersistence.resume(run_id))


def wake_run(run_id: str) -> None:
    """Let a run that waits look at once whether it can go on.

    A sleep that is not over goes on, and so does a delay. Raises RunNotFound.
    """
    with transaction.atomic(using()):
        send_after_commit(WorkflowPersistence.wake(run_id))


def cancel_run(run_id: str, *, by: object = None, reason: str = "") -> None:
    """Stop a run, undo its steps that have a compensation, and its children.

    A run that waits, or is paused, stops at once. One at work stops as soon
    as the step under way is recorded, unless it completes with that. It ends
    `cancelled`, or `compensated` when it had something to undo. The request
    is a part of the caller's transaction; the same one again changes nothing.
    Raises RunNotFound, and RunNotOpen when the run has ended or is rolled
    back already.
    """
    with audited("cancel", run_id, by, reason):
        stopped = WorkflowPersistence.cancel(run_id)
        transaction.on_commit(partial(_follow_up, stopped), using())


def _follow_up(stopped: Stopped) -> None:
    for message in stopped.follow_up():
        send(message)
