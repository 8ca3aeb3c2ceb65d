"""Begin runs again: failed ones behind their steps, any from one of them.

`by` and `reason` say who did it, a saved user or a text, and why: each change
is an AuditEntry of its run.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.db import transaction

from django_hookflow.models import WorkflowRun
from django_hookflow.operations.audit import audited
from django_hookflow.operations.start import begin
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.database import using
from django_hookflow.sending import send_after_commit
from django_hookflow.states import RunStatus
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


def retry_run(run_id: str, *, by: object = None, reason: str = "") -> str:
    """Begin a failed run again from the step it failed of, as a new run.

    Returns the id of that. One that failed of its rollback goes on with it.
    This replays its dead letter. Raises RunNotFound, RunNotFailed,
    AlreadyReplayed the second time, and WorkflowNotFound when the code of it
    is not deployed.
    """
    with audited("retry", run_id, by, reason) as begun:
        begun.append(retry(WorkflowPersistence.letter_of(run_id)))
    return begun[0]


def fork_run(
    run_id: str,
    step_id: str,
    data: Any = None,
    *,
    by: object = None,
    reason: str = "",
) -> str:
    """Begin a new run that goes on from a step of another; return its id.

    It has the recorded steps that the other reached before this one, but for
    those that were undone, and is a run of its own: with its own idempotency
    keys and events. A rollback of it does not undo what it has copied.
    `data`: what it gets instead of the data of the other. Raises RunNotFound,
    StepNotFound when the run has not reached the step, and WorkflowNotFound
    when its code is not deployed.
    """
    with audited("fork", run_id, by, reason) as begun:
        origin, position = WorkflowPersistence.origin_of(run_id, step_id)
        workflow = get_workflow(origin.workflow_id, origin.version)
        given = origin.data
        if data is not None:
            what = f"The data of the fork of run {run_id!r}"
            given = json.loads(workflow.accepted(data, what))
        run = WorkflowPersistence.fork(
            origin, position, given, workflow.timeout
        )
        begin(run)
        begun.append(run.run_id)
    return run.run_id


def waive_undo(
    run_id: str, step_id: str, reason: str, *, by: object = None
) -> str:
    """Let a rollback go on without the undo of a step, which has failed.

    Its row keeps `reason`, and its error. Returns the id of the run that goes
    on: when the rollback has failed as a whole, that is its retry. Raises
    RunNotFound, StepNotFound when no undo of this step has failed, RunBusy,
    ValueError without a reason, and all that retry_run raises.
    """
    if not reason or not reason.strip():
        raise ValueError(
            f"The undo of {step_id!r} cannot be waived without a reason. Say "
            'why, as in waive_undo(run_id, step_id, "refunded by hand").'
        )
    with audited("waive", run_id, by, f"{step_id}: {reason}") as begun:
        run, undo = WorkflowPersistence.failed_undo(run_id, step_id)
        if run.status != RunStatus.COMPENSATING:
            run = WorkflowPersistence.retry(
                WorkflowPersistence.letter_of(run_id), _timeout_of
            )
            begin(run)
        send_after_commit(WorkflowPersistence.waive(run, undo, reason))
        begun.append(run.run_id)
    return run.run_id


def _timeout_of(run: WorkflowRun) -> timedelta | None:
    return get_workflow(run.workflow_id, run.version).timeout
