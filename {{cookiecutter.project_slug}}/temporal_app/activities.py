"""Activities: what Temporal workflows of this site do to the world.

Temporal runs an activity again if its worker dies, so each of them may happen
twice: make yours idempotent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage
from temporalio import activity
from temporalio.exceptions import ApplicationError

# What an action makes of a user: values of fields.
ACTIONS: Mapping[str, Mapping[str, bool]] = {
    "activate": {"is_active": True},
    "deactivate": {"is_active": False},
    "check": {},
}


@dataclass(frozen=True)
class EmailPayload:
    to: str
    subject: str
    body: str
    from_email: str | None = None  # None is DEFAULT_FROM_EMAIL


@dataclass(frozen=True)
class UserProcessingPayload:
    user_id: int
    action: str  # a key of ACTIONS


@activity.defn
async def send_email_activity(payload: EmailPayload) -> dict[str, str]:
    """Send an email; return {"status": "sent", "to": address}.

    An attempt that is repeated sends the same Message-ID again, so that
    mailboxes can drop the second one.
    """
    message = EmailMessage(
        subject=payload.subject,
        body=payload.body,
        from_email=payload.from_email,
        to=[payload.to],
        headers=_headers(),
    )
    await sync_to_async(message.send)()
    return {"status": "sent", "to": payload.to}


@activity.defn
async def process_user_activity(
    payload: UserProcessingPayload,
) -> dict[str, str | int]:
    """Do an action to a user; return {"status": "processed", …}.

    Raises ApplicationError, which is not tried again, for an unknown action
    or user.
    """
    values = ACTIONS.get(payload.action)
    if values is None:
        raise ApplicationError(
            f"Unknown action {payload.action!r}, expected one of "
            f"{', '.join(ACTIONS)}.",
            type="UnknownAction",
            non_retryable=True,
        )
    if not await _update(payload.user_id, values):
        raise ApplicationError(
            f"No user has the id {payload.user_id}.",
            type="UserNotFound",
            non_retryable=True,
        )
    return {
        "status": "processed",
        "user_id": payload.user_id,
        "action": payload.action,
    }


@sync_to_async
def _update(user_id: int, values: Mapping[str, bool]) -> bool:
    """Write the values; return False if there is no such user."""
    users = get_user_model()._default_manager.filter(pk=user_id)
    return bool(users.update(**values)) if values else users.exists()


def _headers() -> dict[str, str]:
    """Return a Message-ID that is the same at each attempt."""
    if not activity.in_activity():
        return {}
    info = activity.info()
    name = f"{info.workflow_run_id}.{info.activity_id}"
    return {"Message-ID": f"<{name}@{info.namespace}.temporal>"}
