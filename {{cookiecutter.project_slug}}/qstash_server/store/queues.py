"""Delete a queue."""

from __future__ import annotations

from django.db.models import Q
from django.db.models import QuerySet

from ..models import Kind
from ..models import Lane
from ..models import Message
from ..models import State
from .messages import cancel
from .writing import written


def delete(queue: Lane, now: int) -> None:
    """Cancel its waiting messages, also a head between two attempts.

    In batches first: during the final delete, no client can publish to the
    queue.
    """
    cancel(_waiting(queue), now, None)
    _delete(queue, now)


@written
def _delete(queue: Lane, now: int) -> None:
    locked = Lane.objects.select_for_update().filter(pk=queue.pk).first()
    if locked is not None:
        cancel(_waiting(locked), now, None)
        locked.delete()


def _waiting(queue: Lane) -> QuerySet[Message]:
    begun = Q(place=queue, kind=Kind.MESSAGE)
    return Message.objects.filter(Q(lane=queue) | begun, state=State.WAITING)
