"""Pages of a list, and the opaque cursor of the next one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic
from typing import TypeVar

from django.db.models import Model
from django.db.models import QuerySet
from django.db.models import Value
from django.db.models.expressions import Combinable

from .errors import BadRequestError

# It looks like the ids of Redis streams that the service uses.
CURSOR = re.compile(r"\d{1,16}-(\d{1,18})", re.ASCII)

MOST_BYTES = 10 * 1024 * 1024  # of the bodies on one page, before encoding
NO_SIZE = Value(0)

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Page(Generic[M]):
    rows: list[M]
    cursor: str  # of the next page, "" at the end


def page_of(
    rows: QuerySet[M],
    *,
    cursor: str,
    count: int,
    newest_first: bool,
    size: Combinable = NO_SIZE,
) -> Page[M]:
    """Return at most `count` rows after `cursor`, in the order of their keys.

    A page ends early where the next row's `size` in bytes would make it too
    long, but it has one row.
    """
    if cursor:
        bound = "pk__lt" if newest_first else "pk__gt"
        rows = rows.filter(**{bound: _position(cursor)})
    order = "-pk" if newest_first else "pk"
    sized = rows.annotate(page_bytes=size).order_by(order)
    found: list[M] = list(sized[: count + 1])
    sizes = accumulate(vars(row)["page_bytes"] for row in found)
    fitting = sum(total <= MOST_BYTES for total in sizes)
    end = min(count, max(1, fitting))
    if len(found) <= end:
        return Page(found, "")
    return Page(found[:end], f"0-{found[end - 1].pk}")


def _position(cursor: str) -> int:
    match = CURSOR.fullmatch(cursor)
    if match is None:
        raise BadRequestError(f"cursor: {cursor!r} is none of ours")
    return int(match[1])
