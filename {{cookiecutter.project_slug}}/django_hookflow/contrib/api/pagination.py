"""Pages by key: the last row of one is where the next begins.

A page costs the same wherever it is. `offset` is for programs that count, and
bounded, since the database reads all that it passes over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import Generic
from typing import TypeVar

from django.core import signing
from django.db.models import Model
from django.db.models import QuerySet
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from django_hookflow.contrib.api.access import owner_of

RowT = TypeVar("RowT", bound=Model)

USUAL, MOST = 50, 200  # rows of a page
FARTHEST = 10_000  # rows that an offset passes over
BOUND = 10_000  # rows that are counted

# Parameters by which two requests of one list may differ.
MOVING = ("cursor", "limit", "offset")


@dataclass(frozen=True)
class Page(Generic[RowT]):
    """Rows of a list, and the cursor of the next ones; None at the end."""

    rows: list[RowT]
    next_cursor: str | None


def page(
    request: Request, rows: QuerySet[RowT], wanted: Mapping[str, Any]
) -> Page[RowT]:
    """Return the page that the parameters want, the newest rows first.

    Raises ValidationError for the cursor of another list.
    """
    limit, offset = wanted["limit"], wanted["offset"]
    rows = rows.order_by("-pk")
    if wanted.get("cursor"):
        rows = rows.filter(pk__lt=_start(request, wanted["cursor"]))
    found = list(rows[offset : offset + limit + 1])
    if len(found) <= limit:
        return Page(found, None)
    last = found[limit - 1].pk
    cursor = signing.dumps([last, _list_of(request)], salt=__name__)
    return Page(found[:limit], cursor)


def next_link(request: Request, cursor: str | None) -> str | None:
    """Return the address of the next page."""
    if cursor is None:
        return None
    query = request.query_params.copy()
    query.pop("offset", None)
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def bounded_count(rows: QuerySet[Any]) -> tuple[int, bool]:
    """Return the number of rows, up to BOUND, and whether it is exact."""
    count = rows.order_by()[: BOUND + 1].count()
    return min(count, BOUND), count <= BOUND


def _start(request: Request, cursor: str) -> int:
    try:
        last, of_list = signing.loads(cursor, salt=__name__)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise ValidationError(
            {"cursor": ["Invalid cursor. Take next_cursor of an answer."]}
        ) from error
    if of_list != _list_of(request):
        raise ValidationError(
            {
                "cursor": [
                    "This cursor is of another list. Send it with the same "
                    "filters, or leave it out to begin again."
                ]
            }
        )
    return int(last)


def _list_of(request: Request) -> str:
    """Return what is the same for all pages of a list."""
    filters = sorted(
        (name, values)
        for name, values in request.query_params.lists()
        if name not in MOVING
    )
    text = repr((owner_of(request), request.path, filters))
    return salted_hmac(__name__, text, algorithm="sha256").hexdigest()[:16]
