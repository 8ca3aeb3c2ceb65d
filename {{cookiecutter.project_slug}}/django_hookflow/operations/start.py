"""Start runs."""

from __future__ import annotations

import json
import uuid
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Model

from django_hookflow import clock
from django_hookflow import signals
from django_hookflow.clock import Duration
from django_hookflow.exceptions import RunConflict
from django_hookflow.models import WorkflowRun
from django_hookflow.names import checked_name
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.database import using
from django_hookflow.reading import subject_of
from django_hookflow.sending import announce
from django_hookflow.sending import send_after_commit
from django_hookflow.serialization import is_same
from django_hookflow.workflows.wrapper import WorkflowWrapper


def trigger(
    workflow: WorkflowWrapper,
    *,
    data: Any = None,
    run_id: str | None = None,
    delay: Duration = 0,
    owner: object = None,
    about: Model | None = None,
) -> str:
    """Write a run; its message is sent when the caller's transaction commits.

    Raises RunConflict when the id is that of another run.
    """
    run = _new_run(workflow, data, run_id, delay, owner, about)
    existing = WorkflowPersistence.create(run)
    if existing is None:
        begin(run)
    elif existing.workflow_id != run.workflow_id:
        raise RunConflict(run.run_id, "another workflow")
    elif existing.owner != run.owner:
        raise RunConflict(run.run_id, "another owner")
    elif existing.subject != run.subject:
        raise RunConflict(run.run_id, "another row that it is about")
    elif not is_same(existing.data, run.data):
        raise RunConflict(run.run_id, "other data")
    return run.run_id


def begin(run: WorkflowRun) -> None:
    """Announce a new run and send its message when its row is committed."""
    transaction.on_commit(
        partial(announce, signals.run_triggered, run), using()
    )
    due = run.wake_at if run.wake_at != run.created_at else None
    send_after_commit(
        [WorkflowPersistence.delivery_for(run, run.wake_token, due)]
    )


def _new_run(
    workflow: WorkflowWrapper,
    data: Any,
    run_id: str | None,
    delay: Duration,
    owner: object,
    about: Model | None,
) -> WorkflowRun:
    run_id = checked_name(
        "run_id", uuid.uuid4().hex if run_id is None else run_id
    )
    text = workflow.accepted(data, f"The data of run {run_id!r}")
    return WorkflowPersistence.new_run(
        run_id=run_id,
        workflow_id=workflow.workflow_id,
        version=workflow.version,
        owner=checked_owner("owner", owner),
        data=json.loads(text),
        subject=None
        if about is None
        else checked_name("about", subject_of(about)),
        delay=clock.checked("delay", delay),
        timeout=workflow.timeout,
    )


def checked_owner(what: str, owner: object) -> str:
    """Return the key of a saved user, or a text; None is none.

    A TypeError or ValueError names it as `what`.
    """
    if owner is None or owner == "":
        return ""
    if isinstance(owner, Model) and owner.pk is not None:
        owner = str(owner.pk)
    if not isinstance(owner, str):
        raise TypeError(
            f"Invalid {what} {owner!r}, expected a saved user or a text. "
            f"Write {what}=request.user, of a user who is logged in, or "
            f"{what}=str(key)."
        )
    return checked_name(what, owner)
