"""/v2/flowControl: the keys under which messages flow."""

from __future__ import annotations

from typing import Any

from ..errors import BadRequestError
from ..filters import INTEGER
from ..models import Lane
from ..models import State
from ..replies import Reply
from ..replies import answer
from ..replies import done
from ..service import Call
from ..store import lanes

FLOW = Lane.Kind.FLOW
MAX_PERIOD = 7 * 24 * 3600  # seconds


def list_all(call: Call) -> Reply:
    """Answer an array as in the OpenAPI file, not an object (choice 22)."""
    search = dict(call.target.parameters()).get("search", "")
    rows = lanes.lanes_of(call.account, FLOW).order_by("name")
    found = [row for row in rows if search in row.name]
    return answer([_view(row) for row in found])


def get(call: Call) -> Reply:
    return answer(_view(_key(call)))


def pause(call: Call) -> Reply:
    return _change(call, paused=True)


def resume(call: Call) -> Reply:
    return _change(call, paused=False)


def pin(call: Call) -> Reply:
    """Set limits that messages cannot change, and reset the counters."""
    given = _numbers(call, "parallelism", "rate", "period")
    values: dict[str, Any] = dict(given)
    if "parallelism" in given:
        values["pinned_parallelism"] = True
    if "rate" in given or "period" in given:
        values["pinned_rate"] = True
    if not values or given.get("period", 1) > MAX_PERIOD:
        raise BadRequestError("pin: give parallelism, rate, or a period to 7d")
    return _change(call, **values, period_start=0, period_count=0)


def unpin(call: Call) -> Reply:
    """Set limits that last until the next message with the key."""
    named = dict(call.target.parameters())
    values = {
        field: False
        for name, field in (
            ("parallelism", "pinned_parallelism"),
            ("rate", "pinned_rate"),
        )
        if named.get(name) == "true"
    }
    if not values:
        raise BadRequestError("unpin: give parallelism=true or rate=true")
    return _change(call, **values)


def reset(call: Call) -> Reply:
    """End the present period, so that the next one begins now."""
    return _change(call, period_start=0, period_count=0)


def global_parallelism(call: Call) -> Reply:
    calls = lanes.active_calls(call.account)
    return answer(
        {
            "parallelismMax": call.service.workers,
            "parallelismCount": calls,
        }
    )


def _change(call: Call, **values: Any) -> Reply:
    key = _checked_key(call)
    lanes.change(call.account, FLOW, key, call.now, **values)
    call.service.wake_dispatcher()
    return done()


def _key(call: Call) -> Lane:
    return lanes.get(call.account, FLOW, call.names[0])


def _checked_key(call: Call) -> str:
    name = call.names[0]
    if len(name) > 256:
        raise BadRequestError("a flow control key has at most 256 characters")
    return name


def _numbers(call: Call, *names: str) -> dict[str, int]:
    given = {}
    for name, value in call.target.parameters():
        if name in names:
            if not INTEGER.fullmatch(value) or not 0 < int(value) < 2**31:
                raise BadRequestError(
                    f"{name}: {value!r} is not a number from 1 up"
                )
            given[name] = int(value)
    return given


def _view(key: Lane) -> dict[str, Any]:
    return {
        "flowControlKey": key.name,
        "waitListSize": key.waiting.filter(state=State.WAITING).count(),
        "parallelismMax": key.parallelism,
        "parallelismCount": lanes.in_flight(key),
        "rateMax": key.rate,
        "rateCount": key.period_count,
        "ratePeriod": key.period,
        "ratePeriodStart": key.period_start // 1000,
        "isPaused": key.paused,
        "isPinnedParallelism": key.pinned_parallelism,
        "isPinnedRate": key.pinned_rate,
    }
