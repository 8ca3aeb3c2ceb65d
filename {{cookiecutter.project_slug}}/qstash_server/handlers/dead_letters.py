"""/v2/dlq: list, get, delete and retry failed messages."""

from __future__ import annotations

from django.db.models import F
from django.db.models import Q
from django.db.models import QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Length

from ..errors import NotFoundError
from ..filters import MESSAGE_FIELDS
from ..filters import Filter
from ..filters import pairs_of_json
from ..filters import read_filter
from ..filters import split
from ..filters import where
from ..models import DeadLetter
from ..options import Overrides
from ..options import parse_overrides
from ..paging import NO_SIZE
from ..paging import Page
from ..paging import page_of
from ..replies import Reply
from ..replies import answer
from ..replies import done
from ..service import Call
from ..store import dead_letters
from ..views import dead_letter_view
from .publishing import check_options

MOST = 100
SHOWN = F("message__size") + Length("response_body")  # bytes of a view
FIELDS = (
    *MESSAGE_FIELDS,
    "dlqIds",
    "label",
    "fromDate",
    "toDate",
    "responseStatus",
    "count",
    "cursor",
    "order",
    "source",
)


def list_all(call: Call) -> Reply:
    wanted = read_filter(call.target.parameters(), FIELDS)
    page = _page(call, wanted, size=SHOWN)
    rows = dead_letters.with_bodies(page.rows)
    views = [dead_letter_view(letter) for letter in rows]
    # At the end the cursor is absent; the clients test for that.
    return answer({"messages": views} | _cursor(page))


def get(call: Call) -> Reply:
    letter = dead_letters.get(call.account, call.names[0])
    return answer(dead_letter_view(letter))


def delete(call: Call) -> Reply:
    if not dead_letters.delete(_named(call)):
        raise NotFoundError("dlq message", call.names[0])
    return done()


def delete_many(call: Call) -> Reply:
    page = _page(call, _requested(call))
    deleted = dead_letters.delete(page.rows)
    return answer({"deleted": deleted} | _cursor(page))


def retry(call: Call) -> Reply:
    ids = dead_letters.retry(_named(call), call.now, _overrides(call))
    if not ids:
        raise NotFoundError("dlq message", call.names[0])
    call.service.wake_dispatcher()
    # 201 as in the OpenAPI file (choice 29).
    return answer({"messageId": ids[0]}, 201)


def retry_many(call: Call) -> Reply:
    wanted = _requested(call)
    page = _page(call, wanted)
    if "dlqIds" in wanted.values and not page.rows:
        raise NotFoundError("dlq message", ",".join(wanted.values["dlqIds"]))
    ids = dead_letters.retry(page.rows, call.now, _overrides(call))
    call.service.wake_dispatcher()
    views = [{"messageId": message_id} for message_id in ids]
    # Here, unlike in lists, the clients expect "" at the end.
    return answer({"cursor": page.cursor, "responses": views}, 201)


def _overrides(call: Call) -> Overrides:
    """Return the options in the headers, checked as in a publish."""
    overrides = parse_overrides(call.request.headers)
    check_options(call, overrides.options, body=b"")
    return overrides


def _named(call: Call) -> list[DeadLetter]:
    """Return the dead letter in the path, if any."""
    letters = dead_letters.letters_of(call.account)
    return list(letters.filter(dlq_id=call.names[0]))


def _requested(call: Call) -> Filter:
    pairs = call.target.parameters()
    if call.request.body:
        pairs += pairs_of_json(call.json())
    return read_filter(pairs, FIELDS)


def _page(
    call: Call,
    wanted: Filter,
    size: Combinable = NO_SIZE,
) -> Page[DeadLetter]:
    order = wanted.choice("order", "earliestFirst", "latestFirst")
    return page_of(
        _wanted(call.account, wanted),
        cursor=wanted.first("cursor"),
        count=wanted.count(most=MOST, default=MOST) or MOST,
        newest_first=order == "latestFirst",
        size=size,
    )


def _wanted(account: str, wanted: Filter) -> QuerySet[DeadLetter]:
    rows = dead_letters.letters_of(account)
    if "dlqIds" in wanted.values:
        return rows.filter(dlq_id__in=split(wanted.values["dlqIds"]))
    if wanted.choice("source", "", "workflow"):
        return rows.none()  # the steps of Upstash Workflow are not ours
    statuses = wanted.numbers("responseStatus")
    condition = Q(response_status__in=statuses) if statuses else Q()
    return rows.filter(condition, where(wanted, prefix="message__"))


def _cursor(page: Page[DeadLetter]) -> dict[str, str]:
    return {"cursor": page.cursor} if page.cursor else {}
