"""/v2/queues: first in, first out, so many at a time."""

from __future__ import annotations

from typing import Any

from ..errors import BadRequestError
from ..errors import QuotaError
from ..models import Lane
from ..replies import Reply
from ..replies import answer
from ..replies import done
from ..service import Call
from ..store import lanes
from ..store import queues
from ..target import check_name
from .publishing import check_queues

QUEUE = Lane.Kind.QUEUE


def upsert(call: Call) -> Reply:
    data = call.json()
    if not isinstance(data, dict):
        raise BadRequestError("the body is not a JSON object")
    name = check_name(data.get("queueName"), "queueName")
    values = _values(data)
    _check_quotas(call, name, int(values["parallelism"]))
    lanes.change(call.account, QUEUE, name, call.now, **values)
    call.service.wake_dispatcher()
    return done()


def list_all(call: Call) -> Reply:
    rows = lanes.lanes_of(call.account, QUEUE).order_by("name")
    return answer([_view(row) for row in rows])


def get(call: Call) -> Reply:
    return answer(_view(lanes.get(call.account, QUEUE, _name(call))))


def delete(call: Call) -> Reply:
    """Delete a queue and its waiting messages (choice 25)."""
    queue = (
        lanes.lanes_of(call.account, QUEUE).filter(name=_name(call)).first()
    )
    if queue is not None:
        queues.delete(queue, call.now)
    return done()


def pause(call: Call) -> Reply:
    check_queues(call, [_name(call)])
    lanes.change(call.account, QUEUE, _name(call), call.now, paused=True)
    return done()


def resume(call: Call) -> Reply:
    check_queues(call, [_name(call)])
    lanes.change(call.account, QUEUE, _name(call), call.now, paused=False)
    call.service.wake_dispatcher()
    return done()


def _name(call: Call) -> str:
    return check_name(call.names[0], "queue name")


def _values(data: dict[str, Any]) -> dict[str, Any]:
    parallelism, paused = data.get("parallelism", 1), data.get("paused")
    if type(parallelism) is not int or parallelism < 1:
        raise BadRequestError(
            f"parallelism: {parallelism!r} is not a number from 1 up"
        )
    if paused is not None and type(paused) is not bool:
        raise BadRequestError(f"paused: {paused!r} is neither true nor false")
    values = {"parallelism": parallelism, "paused": paused}
    return {name: v for name, v in values.items() if v is not None}


def _check_quotas(call: Call, name: str, parallelism: int) -> None:
    quotas = call.service.config.quotas
    if parallelism > quotas.max_queue_parallelism:
        raise QuotaError("maxParallelism", quotas.max_queue_parallelism)
    check_queues(call, [name])


def _view(queue: Lane) -> dict[str, Any]:
    return {
        "name": queue.name,
        "createdAt": queue.created_at,
        "updatedAt": queue.updated_at,
        "parallelism": queue.parallelism,
        "paused": queue.paused,
        "lag": lanes.lag(queue),
    }
