"""Insert, cancel and read messages."""

from __future__ import annotations

from collections.abc import Collection
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
from .writing import written

BATCH = 500  # messages that one transaction cancels


@dataclass(frozen=True)
class Inserted:
    """The result for a draft: stored, or a duplicate of `message_id`."""

    message_id: str
    url: str
    duplicate: bool


@written
def insert(
    drafts: Sequence[Draft], *, keep_duplicates_for: int = 0
) -> list[Inserted]:
    """Store the drafts that repeat nothing, in one transaction."""
    in_order = sorted(drafts, key=lambda draft: draft.deduplication_key)
    results = {
        draft.message_id: _deduplicate(draft, keep_duplicates_for)
        for draft in in_order
    }
    add([one for one in drafts if not results[one.message_id].duplicate])
    return [results[draft.message_id] for draft in drafts]


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
    """Return the messages that `GET /v2/messages/{id}` still knows.

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
    """Cancel at most `count` of the wanted messages; return how many.

    Waiting messages are dropped at once: clients see no difference to a drop
    at the next delivery time, and no cancelled rows wait for years. An
    attempt in flight continues, but is the last one.
    """
    cancellable = wanted.filter(
        state__in=(State.WAITING, State.ACTIVE), cancel_requested=False
    ).order_by("id")
    cancelled, more = 0, True
    while more and (count is None or cancelled < count):
        size = BATCH if count is None else min(BATCH, count - cancelled)
        found = _cancel_some(cancellable[:size], now)
        cancelled += found.cancelled
        more = found.more
    return cancelled


@dataclass(frozen=True)
class _Found:
    cancelled: int
    more: bool  # whether there may be others


@written
def _cancel_some(wanted: QuerySet[Message], now: int) -> _Found:
    found = list(wanted.values_list("pk", "lane", "place"))
    wake_lanes(
        {key for _, *lanes in found for key in lanes if key is not None}
    )
    rows = _locked({pk for pk, *_ in found})
    log(rows, "CANCEL_REQUESTED", now)
    _drop([row for row in rows if row.state == State.WAITING], now)
    _mark([row for row in rows if row.state == State.ACTIVE])
    return _Found(len(rows), bool(found))


def _locked(keys: Collection[int]) -> list[Message]:
    """Lock the messages that are not locked already, or wait for one.

    Waiting for a second lock while holding the first could deadlock.
    """
    rows = (
        Message.objects.filter(
            pk__in=keys,
            state__in=(State.WAITING, State.ACTIVE),
            cancel_requested=False,
        )
        .defer("body", "options")
        .order_by("id")
    )
    unheld = list(rows.select_for_update(skip_locked=True))
    return unheld or list(rows.select_for_update()[:1])


def _drop(rows: list[Message], now: int) -> None:
    Message.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=State.CANCELED, finished_at=now, place=None, lane=None
    )
    log(rows, "CANCELED", now)


def _mark(rows: list[Message]) -> None:
    keys = [row.pk for row in rows]
    Message.objects.filter(pk__in=keys).update(cancel_requested=True)


def _deduplicate(draft: Draft, keep_for: int) -> Inserted:
    if not draft.deduplication_key:
        return Inserted(draft.message_id, draft.url, False)
    first = _first_with_key(draft, keep_for)
    return Inserted(first, draft.url, first != draft.message_id)


def _first_with_key(draft: Draft, keep_for: int) -> str:
    """Return the message that has the key; it may be this one from now on.

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
