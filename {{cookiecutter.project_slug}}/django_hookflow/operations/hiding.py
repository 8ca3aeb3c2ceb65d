"""Hide runs from people who are done with them."""

from __future__ import annotations

from contextlib import suppress

from django.db import transaction

from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import RunNotOpen
from django_hookflow.operations.control import cancel_run
from django_hookflow.operations.start import checked_owner
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.database import using
from django_hookflow.reading import HIDE


def hide_run(run_id: str, *, by: object = None, reason: str = "") -> None:
    """Cancel a run if it is open, and leave it out of not_hidden().

    Its row stays until the cleanup, for the admin and for commands; an
    AuditEntry says who hid it. The same again changes nothing. Raises
    RunNotFound.
    """
    who = checked_owner("by", by)
    with transaction.atomic(using()):
        before = WorkflowPersistence.state_of(run_id)
        if not before:
            raise RunNotFound(run_id)
        with suppress(RunNotOpen):
            cancel_run(run_id, by=by, reason=reason)
        if not WorkflowPersistence.is_hidden(run_id):
            after = WorkflowPersistence.state_of(run_id)
            WorkflowPersistence.note(run_id, HIDE, who, reason, before, after)
