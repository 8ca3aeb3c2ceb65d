"""Delete expired rows, a few at a time."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model
from django.db.models import QuerySet

from ..conf import Config
from ..models import DeadLetter
from ..models import Deduplication
from ..models import Event
from ..models import Message
from .writing import written

BATCH = 500  # messages in one beat, so that deliveries hardly wait
LIGHT = 5000  # rows of other kinds, without a body

M = TypeVar("M", bound=Model)


@written
def old(now: int, config: Config) -> bool:
    """Delete a batch of old rows; return True if there may be more.

    Rows in use are left for the next time.
    """
    oldest_letter = now - config.keep_dead_letters
    more = [
        _delete(Deduplication.objects.filter(expires_at__lte=now)),
        _delete(DeadLetter.objects.filter(created_at__lte=oldest_letter)),
    ]
    keys = _finished_before(now - config.keep_logs)
    found = list(keys[:BATCH])
    Event.objects.filter(message__in=found).delete()
    Message.objects.filter(pk__in=found).delete()
    return any(more) or len(found) == BATCH


def _delete(rows: QuerySet[M]) -> bool:
    """Delete some unlocked rows; return whether more may exist."""
    unheld = rows.select_for_update(skip_locked=True)
    keys = list(unheld.values_list("pk", flat=True)[:LIGHT])
    rows.filter(pk__in=keys).delete()
    return len(keys) == LIGHT


def _finished_before(moment: int) -> QuerySet[Message, int]:
    return (
        Message.objects.filter(finished_at__lte=moment, dead_letter=None)
        .order_by("finished_at")
        .values_list("pk", flat=True)
    )
