"""Let open runs go on under another transport."""

from __future__ import annotations

from django_hookflow.operations.audit import audited
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.sending import send_after_commit


def move_run(run_id: str, *, by: object = None, reason: str = "") -> None:
    """Send the message of a run by the transport of the settings.

    It has a new token, so the message that another transport has is stale,
    and the time of the run stays. A run at work sends its next message by the
    setting of its worker; one that is paused, or waits without a time, has
    none. How the run stands does not change, so there is no AuditEntry.
    Raises RunNotFound, and RunNotOpen when it has ended.
    """
    with audited("move", run_id, by, reason):
        message = WorkflowPersistence.move(run_id)
        send_after_commit([message] if message else [])
