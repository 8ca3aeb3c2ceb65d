"""Messages come in here, and go when nobody may read them any more."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Q
from django.db.models import QuerySet

from ..errors import NotFoundError
from ..messages import Draft
from ..models import Event
from ..models import Message
from ..models import State
from . import statements
from .lanes import first_gates
from .lanes import wake_lanes
from .writing import writing

BATCH = 500  # messages that one transaction cancels


@dataclass(frozen=True)
class Inserted:
    """What became of a draft: stored, or a repetition of `message_id`."""

    message_id: str
    url: str
    duplicate: bool


def insert(
    drafts: Sequence[Draft], *, keep_duplicates_for: int = 0
) -> list[Inserted]:
    """Store the drafts that repeat nothing, in one transaction."""
    with writing():
        results = [_deduplicate(d, keep_duplicates_for) for d in drafts]
        fresh = [
            draft
            for draft, result in zip(drafts, results, strict=True)
            if not result.duplicate
        ]
        add(fresh)
        return results


def add(drafts: Sequence[Draft]) -> None:
    """Store drafts inside the transaction of the caller."""
    gates = first_gates(drafts)
    statements.insert(drafts, gates)
    wake_lanes({gate for gate in gates if gate is not None})


def log(rows: Iterable[Message], state: str, now: int) -> None:
    """Write one line to the log of each message."""
    Event.objects.bulk_create(
        Event(account=row.account, message_id=row.pk, time=now, state=state)
        for row in rows
    )


def readable(account: str, now: int, readable_for: int) -> QuerySet[Message]:
    """The messages that `GET /v2/messages/{id}` still knows.

    A finished one stays for a while, because clients publish and then read
    what a quick destination has already taken (choice 20).
    """
    recent = Q(
        state__in=(State.DELIVERED, State.FAILED),
        finished_at__gt=now - readable_for,
    )
    open_ones = Q(state__in=(State.WAITING, State.ACTIVE))
    return Message.objects.filter(
        open_ones | recent, account=account, cancel_requested=False
    )


def get(account: str, message_id: str, now: int, readable_for: int) -> Message:
    message = (
        readable(account, now, readable_for)
        .filter(message_id=message_id)
        .first()
    )
    if message is None:
        raise NotFoundError("message", message_id)
    return message


def cancel(wanted: QuerySet[Message], now: int, count: int | None) -> int:
    """Cancel at most `count` of the wanted messages; how many it were.

    What waits is dropped at once: nobody can tell this from being dropped
    at its next delivery time, and a far future keeps no cancelled rows. An
    attempt in flight goes on, but it is the last one.
    """
    cancelled = 0
    while count is None or cancelled < count:
        size = BATCH if count is None else min(BATCH, count - cancelled)
        found = _cancel_some(wanted, now, size)
        cancelled += found
        if found < size:
            break
    return cancelled


def _cancel_some(wanted: QuerySet[Message], now: int, size: int) -> int:
    with writing():
        rows = list(
            wanted.filter(
                state__in=(State.WAITING, State.ACTIVE),
                cancel_requested=False,
            )
            .select_for_update()
            .defer("body", "options")
            .order_by("id")[:size]
        )
        log(rows, "CANCEL_REQUESTED", now)
        _drop([row for row in rows if row.state == State.WAITING], now)
        _mark([row for row in rows if row.state == State.ACTIVE])
    return len(rows)


def _drop(rows: list[Message], now: int) -> None:
    Message.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=State.CANCELED, finished_at=now, place=None, lane=None
    )
    log(rows, "CANCELED", now)
    wake_lanes({row.place_id for row in rows if row.place_id is not None})


def _mark(rows: list[Message]) -> None:
    keys = [row.pk for row in rows]
    Message.objects.filter(pk__in=keys).update(cancel_requested=True)


def _deduplicate(draft: Draft, keep_for: int) -> Inserted:
    if not draft.deduplication_key:
        return Inserted(draft.message_id, draft.url, False)
    first = _first_with_key(draft, keep_for)
    return Inserted(first, draft.url, first != draft.message_id)


def _first_with_key(draft: Draft, keep_for: int) -> str:
    """The message that holds the key, which may be this one from now on.

    One statement, so that of two publishers at the same moment the second
    waits for the first and finds its message.
    """
    values = (
        draft.account,
        draft.deduplication_key,
        draft.message_id,
        draft.created_at + keep_for,
        draft.created_at,
        draft.created_at,
    )
    with connection.cursor() as cursor:
        cursor.execute(FIRST_WITH_KEY, values)
        return str(cursor.fetchone()[0])


FIRST_WITH_KEY = """
    INSERT INTO qstash_server_deduplication AS held
        (account, key, message_id, expires_at)
    VALUES (%s, %s, %s, %s)
    ON CONFLICT (account, key) DO UPDATE SET
        message_id = CASE WHEN held.expires_at <= %s
            THEN excluded.message_id ELSE held.message_id END,
        expires_at = CASE WHEN held.expires_at <= %s
            THEN excluded.expires_at ELSE held.expires_at END
    RETURNING message_id
"""
