"""Claim what is due, record how it ended: the dispatcher's two writes."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from ..callbacks import Outcome
from ..callbacks import callbacks_after
from ..concurrency import Room
from ..messages import NO_RESPONSE
from ..messages import Attempt
from ..messages import Delivery
from ..models import DeadLetter
from ..models import Event
from ..models import Lane
from ..models import Message
from ..models import State
from ..retries import Again
from ..retries import Changes
from ..retries import Delivered
from ..retries import Dropped
from ..retries import GivenUp
from ..retries import Retry
from ..retries import Verdict
from ..retries import failure
from ..retries import settle
from . import lanes
from . import statements
from .lanes import wake_all_lanes
from .lanes import wake_lanes
from .messages import add
from .next_due import NextDue

# Bytes of bodies that one claim reads; one message may be larger than that.
CLAIM_BUDGET = 32 * 1024 * 1024


@dataclass(frozen=True)
class Claims:
    """The claimed deliveries, and lanes to check in the next beat."""

    deliveries: list[Delivery] = field(default_factory=list)
    to_wake: set[int] = field(default_factory=set)


def claim(owner: str, now: int, shares: Shares) -> Claims:
    """Claim due messages exclusively.

    Inside the transaction of the caller. A claim ends with `record`, or when
    the next process starts and calls `release`.
    """
    turns = lanes.turns(now, shares.lanes) if shares.lanes else []
    keys, to_wake = _admitted(turns)
    taken = statements.take(keys, owner, now)
    taken += statements.take_due(
        owner,
        now,
        room=shares.free,
        budget=CLAIM_BUDGET,
        besides=shares.besides,
    )
    return Claims(taken, to_wake)


@dataclass(frozen=True)
class Shares:
    """Return how many messages of lanes, and of others, may be claimed."""

    lanes: int
    free: int
    besides: Collection[str]  # hosts of the others that get none


def shares(room: Room, now: int, due: NextDue, *, lanes_first: bool) -> Shares:
    """Divide the room, so that neither kind can starve the other.

    `lanes_first` decides which kind gets the odd one.
    """
    if due.lane > now:
        return Shares(0, room.total, room.full)
    if due.message > now:
        return Shares(room.lanes, 0, room.full)
    half = min((room.total + lanes_first) // 2, room.lanes)
    return Shares(half, room.total - half, room.full)


def release(besides: Collection[int]) -> None:
    """Release all claims except for the keys in `besides`."""
    wake_all_lanes()
    Message.objects.filter(state=State.ACTIVE).exclude(pk__in=besides).update(
        state=State.WAITING, claimed_by=""
    )


def record(
    attempts: Sequence[Attempt],
    owner: str,
    now: int,
    wake: Collection[int] = (),
) -> None:
    """Record the results of attempts, and create their callbacks.

    Inside the transaction of the caller. An attempt whose claim was lost in
    the meantime is ignored: another process owns the message. Lanes that
    have room again are woken, together with those in `wake`.
    """
    wake_lanes(
        {*wake, *(key for one in attempts for key in one.delivery.lanes)}
    )
    delivered = [one for one in attempts if one.response.ok]
    done = statements.deliver(delivered, owner, now)
    rest = [one for one in attempts if one.delivery.pk not in done]
    _write(_settled(rest, owner, now), now)
    add(
        [
            draft
            for one in delivered
            if one.delivery.pk in done
            for draft in callbacks_after(Outcome(one, now))
        ]
    )


@dataclass(frozen=True)
class _Settled:
    row: Message
    attempt: Attempt
    verdict: Verdict

    @property
    def dlq_id(self) -> str:
        return f"{self.row.created_at}-{self.row.pk}"


def _settled(
    attempts: Sequence[Attempt], owner: str, now: int
) -> list[_Settled]:
    """Attempts with their rows and their results."""
    if not attempts:
        return []
    by_key = {attempt.delivery.pk: attempt for attempt in attempts}
    rows = (
        Message.objects.filter(
            pk__in=by_key, state=State.ACTIVE, claimed_by=owner
        )
        .select_for_update()
        .defer("body", "options")
    )
    return [
        _Settled(row, by_key[row.pk], _verdict(row, by_key[row.pk], now))
        for row in rows
    ]


def _verdict(row: Message, attempt: Attempt, now: int) -> Verdict:
    return settle(attempt, Changes(row.cancel_requested, row.again_at), now)


def _write(settled: list[_Settled], now: int) -> None:
    if not settled:
        return
    _finish(settled, Delivered, State.DELIVERED, now)
    _finish(settled, GivenUp, State.FAILED, now)
    _finish(settled, Dropped, State.CANCELED, now)
    _postpone(settled)
    DeadLetter.objects.bulk_create(
        _dead_letter(s, now) for s in settled if s.verdict == GivenUp()
    )
    Event.objects.bulk_create(
        event for one in settled for event in _events(one, now)
    )
    add(
        [draft for s in settled for draft in callbacks_after(_outcome(s, now))]
    )


def _finish(
    settled: list[_Settled], verdict: type[Verdict], state: State, now: int
) -> None:
    keys = [s.row.pk for s in settled if isinstance(s.verdict, verdict)]
    if keys:
        Message.objects.filter(pk__in=keys).update(
            state=state, finished_at=now, claimed_by="", place=None
        )


def _postpone(settled: list[_Settled]) -> None:
    rows = []
    for one in settled:
        if isinstance(one.verdict, Retry | Again):
            one.row.state, one.row.claimed_by = State.WAITING, ""
            one.row.retried += isinstance(one.verdict, Retry)
            one.row.due, one.row.again_at = one.verdict.due, None
            rows.append(one.row)
    Message.objects.bulk_update(
        rows, ["state", "claimed_by", "retried", "due", "again_at"]
    )


def _outcome(one: _Settled, now: int) -> Outcome:
    given_up = isinstance(one.verdict, GivenUp)
    return Outcome(
        attempt=one.attempt,
        now=now,
        dlq_id=one.dlq_id if given_up else "",
        place=one.row.place_id,
    )


def _dead_letter(one: _Settled, now: int) -> DeadLetter:
    response = one.attempt.response
    return DeadLetter(
        account=one.row.account,
        dlq_id=one.dlq_id,
        message_id=one.row.pk,
        created_at=now,
        response_status=response.status,
        response_headers=[list(pair) for pair in response.headers],
        response_body=response.body,
    )


def _events(one: _Settled, now: int) -> list[Event]:
    """Return DELIVERED, or ERROR and then RETRY, FAILED or CANCELED."""
    if isinstance(one.verdict, Delivered | Again):
        return [_answered(one, "DELIVERED", now)]
    events = [_answered(one, "ERROR", now)]
    if isinstance(one.verdict, Retry):
        events.append(_event(one, "RETRY", now))
        events[-1].next_delivery = one.verdict.due
        events[0].next_delivery = one.verdict.due
    elif isinstance(one.verdict, GivenUp):
        events.append(_answered(one, "FAILED", now))
    else:
        events.append(_event(one, "CANCELED", now))
    return events


def _event(one: _Settled, state: str, now: int) -> Event:
    return Event(
        account=one.row.account, message_id=one.row.pk, time=now, state=state
    )


def _answered(one: _Settled, state: str, now: int) -> Event:
    event, response = _event(one, state, now), one.attempt.response
    if not response.ok:
        event.error = failure(one.attempt)
    if response != NO_RESPONSE:
        event.response_status = response.status
        event.response_headers = [list(pair) for pair in response.headers]
        event.response_body = response.body[: statements.LOGGED]
    return event


def _admitted(turns: list[lanes.Turn]) -> tuple[list[int], set[int]]:
    """Move messages that lanes admit; return the keys of those to deliver.

    A message that has got its place in a queue leaves the queue's lane. If
    it has a flow key too, that lane comes next, at the next beat: it could
    only be locked out of order now.
    """
    ready: list[int] = []
    to_wake: set[int] = set()
    for turn in turns:
        held: dict[int, int] = {}
        if turn.lane.kind == Lane.Kind.QUEUE and turn.admitted:
            held = _placed(turn)
        ready += [key for key in turn.admitted if key not in held]
        to_wake |= set(held.values())
    return ready, to_wake


def _placed(turn: lanes.Turn) -> dict[int, int]:
    """Give places in the queue; return flow key lanes by their messages."""
    rows = Message.objects.filter(pk__in=turn.admitted)
    rows.update(place=turn.lane, lane=None)
    held = {}
    for row in rows.exclude(flow_key="").only("flow_key"):
        flow = lanes.get(turn.lane.account, Lane.Kind.FLOW, row.flow_key)
        rows.filter(pk=row.pk).update(lane=flow)
        held[row.pk] = flow.pk
    return held
