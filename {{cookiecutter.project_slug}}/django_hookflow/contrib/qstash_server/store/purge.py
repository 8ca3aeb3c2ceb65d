"""Forget what nobody may read any more, a little at a time."""

from __future__ import annotations

from django.db.models import QuerySet

from ..conf import Config
from ..models import DeadLetter
from ..models import Deduplication
from ..models import Event
from ..models import Message

BATCH = 500  # messages in one beat, so that deliveries hardly wait


def old(now: int, config: Config) -> bool:
    """Delete one batch of what is too old; whether there may be more.

    Inside the transaction of the caller.
    """
    Deduplication.objects.filter(expires_at__lte=now).delete()
    DeadLetter.objects.filter(
        created_at__lte=now - config.keep_dead_letters
    ).delete()
    keys = _finished_before(now - config.keep_logs)
    found = list(keys[:BATCH])
    Event.objects.filter(message__in=found).delete()
    Message.objects.filter(pk__in=found).delete()
    return len(found) == BATCH


def _finished_before(moment: int) -> QuerySet[Message, int]:
    return (
        Message.objects.filter(finished_at__lte=moment, dead_letter=None)
        .order_by("finished_at")
        .values_list("pk", flat=True)
    )
