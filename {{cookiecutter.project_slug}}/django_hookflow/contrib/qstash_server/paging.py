"""Pages of a list, and the opaque cursor that leads to the next one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Generic
from typing import TypeVar

from django.db.models import Model
from django.db.models import QuerySet

from .errors import BadRequestError

# It looks like the ids of Redis streams that the service uses.
CURSOR = re.compile(r"\d{1,16}-(\d{1,18})", re.ASCII)

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Page(Generic[M]):
    rows: list[M]
    cursor: str  # of the next page, "" at the end


def page_of(
    rows: QuerySet[M], *, cursor: str, count: int, newest_first: bool
) -> Page[M]:
    """At most `count` rows after `cursor`, in the order of their keys."""
    if cursor:
        bound = "pk__lt" if newest_first else "pk__gt"
        rows = rows.filter(**{bound: _position(cursor)})
    order = "-pk" if newest_first else "pk"
    found = list(rows.order_by(order)[: count + 1])
    if len(found) <= count:
        return Page(found, "")
    return Page(found[:count], f"0-{found[count - 1].pk}")


def _position(cursor: str) -> int:
    match = CURSOR.fullmatch(cursor)
    if match is None:
        raise BadRequestError(f"cursor: {cursor!r} is none of ours")
    return int(match[1])
