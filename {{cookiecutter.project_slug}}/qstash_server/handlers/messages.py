"""GET and DELETE /v2/messages."""

from __future__ import annotations

from ..errors import NotFoundError
from ..filters import MESSAGE_FIELDS
from ..filters import Filter
from ..filters import pairs_of_json
from ..filters import read_filter
from ..filters import where
from ..models import Kind
from ..models import Message
from ..replies import Reply
from ..replies import answer
from ..service import Call
from ..store import messages
from ..views import message_view

FIELDS = (
    *(name for name in MESSAGE_FIELDS if name != "messageId"),
    "label",
    "fromDate",
    "toDate",
    "count",
)
MOST = 500


def get(call: Call) -> Reply:
    readable_for = call.service.config.readable_for
    message = messages.get(call.account, call.names[0], call.now, readable_for)
    return answer(message_view(message))


def cancel(call: Call) -> Reply:
    message_id = call.names[0]
    wanted = Message.objects.filter(
        account=call.account, message_id=message_id
    )
    if not messages.cancel(wanted, call.now, 1):
        raise NotFoundError("message", message_id)
    call.service.wake_dispatcher()
    return answer({"cancelled": 1})


def cancel_many(call: Call) -> Reply:
    wanted = requested_filter(call)
    if "messageIds" in wanted.values:
        wanted = Filter({"messageIds": wanted.values["messageIds"]})
    count = wanted.count(most=MOST, default=None)
    rows = Message.objects.filter(
        where(wanted), account=call.account, kind=Kind.MESSAGE
    )
    cancelled = messages.cancel(rows, call.now, count)
    call.service.wake_dispatcher()
    return answer({"cancelled": cancelled})


def requested_filter(call: Call) -> Filter:
    """Read a filter from the query (JavaScript, docs) or JSON (Python)."""
    pairs = call.target.parameters()
    if call.request.body:
        pairs += pairs_of_json(call.json())
    return read_filter(pairs, FIELDS)
