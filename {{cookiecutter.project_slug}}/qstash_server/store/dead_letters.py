"""Dead letters: list, delete and retry messages that have failed."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet

from ..errors import NotFoundError
from ..ids import new_id
from ..messages import Draft
from ..models import DeadLetter
from ..models import Kind
from ..options import NO_OVERRIDES
from ..options import Options
from ..options import Overrides
from ..publish import wait
from .messages import add
from .writing import written


def letters_of(account: str) -> QuerySet[DeadLetter]:
    """Return dead letters without bodies, which are read when needed."""
    return (
        DeadLetter.objects.filter(account=account)
        .select_related("message")
        .defer("message__body", "response_body")
    )


def with_bodies(letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Return the same dead letters with bodies, in one query."""
    rows = DeadLetter.objects.select_related("message")
    by_key = rows.in_bulk([letter.pk for letter in letters])
    return [by_key[one.pk] for one in letters if one.pk in by_key]


def get(account: str, dlq_id: str) -> DeadLetter:
    letter = letters_of(account).filter(dlq_id=dlq_id).first()
    if letter is None:
        raise NotFoundError("dlq message", dlq_id)
    return letter


@written
def delete(letters: Sequence[DeadLetter]) -> int:
    """Delete dead letters; return how many were still there."""
    return _removed(_locked(letters))


@written
def retry(
    letters: Sequence[DeadLetter],
    now: int,
    overrides: Overrides = NO_OVERRIDES,
) -> list[str]:
    """Publish each again as a new message; return the new ids.

    The dead letter is deleted in the same transaction, so that one that two
    people retry at once is published once.
    """
    still_there = _locked(letters)
    drafts = [_draft(letter, now, overrides) for letter in still_there]
    add(drafts)
    _removed(still_there)
    return [draft.message_id for draft in drafts]


def _locked(letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Return those that are still there, locked in the order of keys."""
    return list(
        DeadLetter.objects.filter(pk__in=[one.pk for one in letters])
        .select_for_update(of=("self",))
        .select_related("message")
        .order_by("pk")
    )


def _removed(letters: Sequence[DeadLetter]) -> int:
    keys = [letter.pk for letter in letters]
    return DeadLetter.objects.filter(pk__in=keys).delete()[0]


def _draft(letter: DeadLetter, now: int, overrides: Overrides) -> Draft:
    message, retries = letter.message, overrides.options.retries
    return Draft(
        message_id=new_id("msg"),
        account=letter.account,
        kind=Kind(message.kind),
        url=message.url,
        body=bytes(message.body),
        options=overrides.on(Options.from_json(message.options)),
        max_retries=message.max_retries if retries is None else retries,
        created_at=now,
        not_before=now + wait(overrides.options, now),
        caller_ip=message.caller_ip,
        topic_name=message.topic_name,
        endpoint_name=message.endpoint_name,
        queue_name=message.queue_name,
        schedule_id=message.schedule_id,
    )
