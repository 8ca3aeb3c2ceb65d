"""Functions for older imports: check a signature, send the next message."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest

from django_hookflow import clock
from django_hookflow.conf import conf
from django_hookflow.exceptions import InvalidDelivery
from django_hookflow.exceptions import TransportError
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.maintenance import resend
from django_hookflow.transports.signed import signed_body

__all__ = ["publish_next_step", "verify_qstash_signature"]


class DoorError(WorkflowError):
    """A WorkflowError, as older code expects here, without a step."""

    def __init__(self, reason: str) -> None:
        Exception.__init__(self, reason)
        self.step_id, self.error_type, self.error = "", "", reason
        self.attempts = 1


def verify_qstash_signature(request: HttpRequest) -> bool:
    """Return True if QStash signed the request for its address here.

    Raises WorkflowError, with the real reason, when it did not.
    """
    address = conf.DJANGO_HOOKFLOW_DOMAIN.rstrip("/") + request.path
    try:
        signed_body(request, address)
    except InvalidDelivery as error:
        raise DoorError(
            f"QStash signature verification failed: {error}"
        ) from error
    return True


def publish_next_step(
    workflow_id: str,
    run_id: str,
    data: dict[str, Any] | None = None,
    completed_steps: dict[str, Any] | None = None,
    delay_seconds: int = 0,
) -> None:
    """Send the live message of a run once more, which does no harm.

    `data` and `completed_steps` are ignored: they were once part of the
    message, and are in the database now. Raises WorkflowError.
    """

    run = WorkflowRun.objects.filter(
        run_id=run_id, workflow_id=workflow_id
    ).first()
    if run is None:
        raise DoorError(
            f"No run {run_id!r} of {workflow_id!r}. Start one by trigger()."
        )
    later = clock.now() + timedelta(seconds=delay_seconds)
    try:
        resend(run, later if delay_seconds else None)
    except TransportError as error:
        raise DoorError(str(error)) from error
