"""GET /v2/events and /v2/logs: the log of messages."""

from __future__ import annotations

from django.db.models import Case
from django.db.models import Q
from django.db.models import When
from django.db.models.functions import Coalesce
from django.db.models.functions import Length

from ..errors import BadRequestError
from ..filters import MESSAGE_FIELDS
from ..filters import Filter
from ..filters import read_filter
from ..filters import split
from ..filters import where
from ..models import Event
from ..models import Message
from ..paging import page_of
from ..replies import Reply
from ..replies import answer
from ..service import Call
from ..views import log_view

# The clients' documents say 1000, the OpenAPI file 100 (choice 19).
MOST = 1000
DEFAULT = 100
LARGEST_BODY = 64 * 1024
SHOWN = Coalesce(Length("response_body"), 0) + Case(
    When(message__size__lte=LARGEST_BODY, then="message__size"), default=0
)  # bytes of a line
STATES = (
    "CREATED",
    "ACTIVE",
    "RETRY",
    "ERROR",
    "DELIVERED",
    "FAILED",
    "CANCEL_REQUESTED",
    "CANCELED",
)
# States that only a filter knows. The documents write CANCELLED, both
# clients CANCELED, and Python's cannot read the other (choice 18).
ALIASES = {
    "IN_PROGRESS": ("ACTIVE", "RETRY", "ERROR"),
    "CANCELLED": ("CANCELED",),
}
FIELDS = (
    *MESSAGE_FIELDS,
    "state",
    "label",
    "fromDate",
    "toDate",
    "count",
    "cursor",
    "order",
    "groupBy",
)


def list_all(call: Call) -> Reply:
    wanted = read_filter(call.target.parameters(), FIELDS)
    order = wanted.choice("order", "latestFirst", "earliestFirst")
    page = page_of(
        Event.objects.filter(
            where(wanted, prefix="message__", time="time"),
            _states(wanted),
            account=call.account,
        )
        .select_related("message")
        .defer("message__body", "response_body"),
        cursor=wanted.first("cursor"),
        count=wanted.count(most=MOST, default=DEFAULT) or DEFAULT,
        newest_first=order == "latestFirst",
        size=SHOWN,
    )
    bodies = _bodies({event.message_id for event in page.rows})
    views = [
        log_view(event, bodies.get(event.message_id, b""))
        for event in _with_responses(page.rows)
    ]
    # Each path has its own name for the list; both names do no harm.
    cursor = {"cursor": page.cursor} if page.cursor else {}
    return answer({"events": views, "logs": views} | cursor)


def _with_responses(events: list[Event]) -> list[Event]:
    """Return the same lines with the bodies of their answers, in one query."""
    rows = Event.objects.select_related("message").defer("message__body")
    by_key = rows.in_bulk([event.pk for event in events])
    return [by_key[one.pk] for one in events if one.pk in by_key]


def _bodies(keys: set[int]) -> dict[int, bytes]:
    """Return the bodies of messages, without large ones: pages are long."""
    rows = Message.objects.filter(pk__in=keys, size__lte=LARGEST_BODY)
    return {pk: bytes(body) for pk, body in rows.values_list("pk", "body")}


def _states(wanted: Filter) -> Q:
    states: list[str] = []
    for name in split(wanted.values.get("state", ())):
        if name not in STATES and name not in ALIASES:
            raise BadRequestError(f"state: {name!r} is not one of {STATES}")
        states += ALIASES.get(name, (name,))
    return Q(state__in=states) if states else Q()
