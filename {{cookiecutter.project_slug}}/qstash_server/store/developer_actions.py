"""Actions of the status page that the API does not have."""

from __future__ import annotations

from ..models import Message
from ..models import State
from .lanes import wake_lanes
from .writing import written


@written
def deliver_now(account: str, message_id: str, now: int) -> bool:
    """Skip the rest of a delay; return whether there was one."""
    row = _locked(account, message_id)
    if row is None or row.state != State.WAITING or row.due <= now:
        return False
    Message.objects.filter(pk=row.pk).update(due=now)
    return True


@written
def deliver_twice(account: str, message_id: str, now: int) -> bool:
    """Deliver a message once more with the same id, as a duplicate.

    A delivered message becomes due again; a waiting or active one is
    delivered twice. Failed messages are retried from the dead letters.
    """
    row = _locked(account, message_id)
    if row is None or row.state in (State.CANCELED, State.FAILED):
        return False
    rows = Message.objects.filter(pk=row.pk)
    if row.state == State.DELIVERED:
        rows.update(state=State.WAITING, due=now, finished_at=None)
    else:
        rows.update(again_at=now)
    return True


def _locked(account: str, message_id: str) -> Message | None:
    """Lock and return the message, after its lane, which is woken."""
    rows = Message.objects.filter(account=account, message_id=message_id)
    lanes = rows.filter(lane__isnull=False).values_list("lane_id", flat=True)
    wake_lanes(set(lanes))
    return rows.select_for_update().defer("body", "options").first()
