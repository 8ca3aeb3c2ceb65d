"""Lanes: the shared state of queues and flow control keys.

A lane lets its messages pass in order, within its limits. `wake_at` is the
time at which the dispatcher checks it again; code that changes a lane sets
it to 0.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import BigIntegerField
from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from ..clock import SECOND
from ..errors import NotFoundError
from ..messages import Draft
from ..models import NEVER
from ..models import Kind
from ..models import Lane
from ..models import Message
from ..models import State
from ..options import FlowControl
from .writing import written

KINDS: dict[str, str] = {
    Lane.Kind.QUEUE: "queue",
    Lane.Kind.FLOW: "flow control key",
}
OPEN = (State.WAITING, State.ACTIVE)


def wake_lanes(keys: Collection[int]) -> None:
    """Make the dispatcher check these lanes at its next beat.

    This locks the lanes, so call it before locking any message.
    """
    if keys:
        locked = _locked(Lane.objects.filter(pk__in=keys))
        Lane.objects.filter(pk__in=[lane.pk for lane in locked]).update(
            wake_at=0
        )


def wake_all_lanes() -> None:
    _locked(Lane.objects.all())
    Lane.objects.update(wake_at=0)


def first_gates(drafts: Sequence[Draft]) -> list[int | None]:
    """Return the first lane of each draft, or None if it has none.

    Missing queues are created, with a parallelism of 1. A message
    with a flow key sets the limits of that key, unless they are pinned.
    """
    names = [_gate_name(draft) for draft in drafts]
    lanes = _lanes({name for pair in names for name in pair if name}, drafts)
    for draft in drafts:
        if draft.options.flow is not None:
            flow = _LaneName(
                draft.account, Lane.Kind.FLOW, draft.options.flow.key
            )
            _configure(lanes[flow], draft.options.flow, draft.created_at)
    return [
        next((lanes[name].pk for name in pair if name), None) for pair in names
    ]


def lanes_of(account: str, kind: str) -> QuerySet[Lane]:
    return Lane.objects.filter(account=account, kind=kind)


def get(account: str, kind: str, name: str) -> Lane:
    lane = lanes_of(account, kind).filter(name=name).first()
    if lane is None:
        raise NotFoundError(KINDS[kind], name)
    return lane


@written
def change(
    account: str, kind: str, name: str, now: int, **values: object
) -> Lane:
    """Set fields of a lane, which is created if it does not exist."""
    lane, _ = Lane.objects.update_or_create(
        account=account,
        kind=kind,
        name=name,
        defaults={**values, "updated_at": now, "wake_at": 0},
        create_defaults={
            "parallelism": 1 if kind == Lane.Kind.QUEUE else 0,
            **values,
            "created_at": now,
            "updated_at": now,
        },
    )
    return lane


def lag(queue: Lane) -> int:
    """Count the messages of a queue that are not finished."""
    waiting = queue.waiting.filter(state=State.WAITING)
    begun = queue.holders.filter(state__in=OPEN, kind=Kind.MESSAGE)
    return waiting.count() + begun.count()


def in_flight(lane: Lane) -> int:
    """Count the calls of a flow key that were sent and not answered."""
    return Message.objects.filter(
        state=State.ACTIVE, flow_key=lane.name, account=lane.account
    ).count()


def active_calls(account: str) -> int:
    return Message.objects.filter(state=State.ACTIVE, account=account).count()


@dataclass(frozen=True)
class Turn:
    """The messages that a lane admits now."""

    lane: Lane
    admitted: list[int]  # keys of messages


def turns(now: int, room: int) -> list[Turn]:
    """Admit messages of the lanes that are due, at most `room` in all.

    Runs inside the transaction of the caller.
    """
    awake = Lane.objects.filter(wake_at__lte=now).order_by("wake_at", "pk")
    found = []
    free = awake.select_for_update(skip_locked=True, no_key=True)
    for lane in free[:room]:
        turn = _turn(lane, now, room)
        room -= len(turn.admitted)
        found.append(turn)
    return found


def _turn(lane: Lane, now: int, room: int) -> Turn:
    _roll_period(lane, now)
    free, blocked_until = _free(lane)
    keys = list(
        lane.waiting.filter(state=State.WAITING, due__lte=now)
        .order_by("due", "id")
        .values_list("pk", flat=True)[: min(free, room)]
    )
    lane.period_count += len(keys)
    if free <= len(keys):
        lane.wake_at = blocked_until
    else:
        lane.wake_at = 0 if len(keys) == room else _next_due(lane, keys)
    lane.save(update_fields=["period_start", "period_count", "wake_at"])
    return Turn(lane, keys)


def _roll_period(lane: Lane, now: int) -> None:
    elapsed = now - lane.period_start  # below 0: the clock was ahead
    if not 0 <= elapsed < lane.period * SECOND:
        lane.period_start, lane.period_count = now, 0


def _free(lane: Lane) -> tuple[int, int]:
    """Return how many may pass now, and when to check again if none may."""
    if lane.paused:
        return 0, NEVER
    if lane.kind == Lane.Kind.QUEUE:
        return max(0, lane.parallelism - _places_taken(lane)), NEVER
    by_calls = (
        lane.parallelism - in_flight(lane) if lane.parallelism else NEVER
    )
    by_rate = lane.rate - lane.period_count if lane.rate else NEVER
    period_end = lane.period_start + lane.period * SECOND
    if by_rate <= by_calls:
        return max(0, by_rate), period_end
    return max(0, by_calls), NEVER


def _places_taken(queue: Lane) -> int:
    """Count the places taken; a message and its callbacks share one."""
    open_ones = queue.holders.filter(state__in=OPEN)
    owner = Coalesce("source", "pk", output_field=BigIntegerField())
    return open_ones.values(owner=owner).distinct().count()


def _next_due(lane: Lane, admitted: list[int]) -> int:
    """Return when the earliest message that waits in the lane is due."""
    due = (
        lane.waiting.filter(state=State.WAITING)
        .exclude(pk__in=admitted)
        .order_by("due", "id")
        .values_list("due", flat=True)
        .first()
    )
    return NEVER if due is None else due


@dataclass(frozen=True, order=True)
class _LaneName:
    account: str
    kind: str
    name: str


def _gate_name(draft: Draft) -> tuple[_LaneName | None, _LaneName | None]:
    """Return the queue and the flow key of a draft."""
    queue = flow = None
    if draft.queue_name:
        queue = _LaneName(draft.account, Lane.Kind.QUEUE, draft.queue_name)
    if draft.options.flow is not None:
        key = draft.options.flow.key
        flow = _LaneName(draft.account, Lane.Kind.FLOW, key)
    return queue, flow


def _lanes(
    names: set[_LaneName], drafts: Sequence[Draft]
) -> dict[_LaneName, Lane]:
    """Lock and return these lanes; create missing ones.

    A lane deleted between our two statements is created again.
    """
    lanes: dict[_LaneName, Lane] = {}
    while not names <= lanes.keys():
        _make(names, drafts[0].created_at)
        lanes = _found(names)
    return {name: lanes[name] for name in names}


def _make(names: set[_LaneName], now: int) -> None:
    Lane.objects.bulk_create(
        [
            Lane(
                account=one.account,
                kind=one.kind,
                name=one.name,
                parallelism=1 if one.kind == Lane.Kind.QUEUE else 0,
                created_at=now,
                updated_at=now,
            )
            for one in sorted(names)
        ],
        ignore_conflicts=True,
    )


def _found(names: set[_LaneName]) -> dict[_LaneName, Lane]:
    found = _locked(
        Lane.objects.filter(
            account__in={one.account for one in names},
            name__in={one.name for one in names},
        )
    )
    return {_LaneName(row.account, row.kind, row.name): row for row in found}


def _configure(lane: Lane, flow: FlowControl, now: int) -> None:
    """Set the limits of the latest message.

    A message without any value leaves them as they are.
    """
    if flow.parallelism is None and flow.rate is None and flow.period is None:
        return
    if not lane.pinned_parallelism:
        lane.parallelism = flow.parallelism or 0
    if not lane.pinned_rate:
        lane.rate, lane.period = flow.rate or 0, flow.period or 1
    lane.updated_at, lane.wake_at = now, 0
    lane.save()


def _locked(lanes: QuerySet[Lane]) -> list[Lane]:
    """Lock lanes in key order, but allow foreign keys to them."""
    return list(lanes.select_for_update(no_key=True).order_by("pk"))
