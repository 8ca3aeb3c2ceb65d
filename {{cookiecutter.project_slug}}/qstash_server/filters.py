"""Filters of lists and bulk operations: OR inside a field, AND between.

A field that no filter knows is an error: a typo in a bulk delete must not
delete everything.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.db.models import Value
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan

from .errors import BadRequestError
from .numbers import parse_number

Values = Mapping[str, tuple[str, ...]]

MOST_VALUES = 10_000  # in one field; databases refuse some more
INTEGER = re.compile(r"\d{1,16}", re.ASCII)

# The fields of a message, by their name on the wire.
MESSAGE_FIELDS = {
    "messageId": "message_id",
    "messageIds": "message_id",
    "topicName": "topic_name",
    "queueName": "queue_name",
    "scheduleId": "schedule_id",
    "flowControlKey": "flow_key",
    "url": "url",
    "host": "host",
    "path": "path",
    "callerIp": "caller_ip",
    "callerIP": "caller_ip",
}
UNSPLIT = ("url", "path", "flowControlKey")  # a comma may be part of them


@dataclass(frozen=True)
class Filter:
    """Wanted values by field; an empty filter wants everything."""

    values: Values

    def first(self, name: str, default: str = "") -> str:
        return self.values.get(name, (default,))[0]

    def number(self, name: str) -> int | None:
        return parse_number(name, self.first(name), INTEGER)

    def numbers(self, name: str) -> list[int]:
        """Return all values of a field."""
        texts = split(self.values.get(name, ()))
        numbers = (parse_number(name, text, INTEGER) for text in texts)
        return [one for one in numbers if one is not None]

    def count(self, *, most: int, default: int | None) -> int | None:
        """Return how many items are asked for, between 1 and `most`."""
        number = self.number("count")
        if number is None:
            return default
        if not 1 <= number <= most:
            raise BadRequestError(
                f"count: {number} is not between 1 and {most}"
            )
        return number

    def choice(self, name: str, *choices: str) -> str:
        """Return one of the choices; the first is the default."""
        value = self.first(name, choices[0])
        if value not in choices:
            raise BadRequestError(f"{name}: {value!r} is not one of {choices}")
        return value


def read_filter(
    pairs: Iterable[tuple[str, str]], allowed: Iterable[str]
) -> Filter:
    """Make a filter from query parameters, without `qstash_token`."""
    values: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        if name == "qstash_token":
            continue
        if "\0" in value:
            raise BadRequestError(f"{name}: a NUL is not allowed")
        values[name].append(value)
    unknown = sorted(set(values) - set(allowed))
    if unknown:
        raise BadRequestError(f"unknown filter field {unknown[0]!r}")
    for name, several in values.items():
        if len(split(several)) > MOST_VALUES:
            raise BadRequestError(f"{name}: more than {MOST_VALUES} values")
    return Filter({name: tuple(several) for name, several in values.items()})


def pairs_of_json(data: Any) -> list[tuple[str, str]]:
    """Make a filter from a JSON object of the same pairs."""
    if not isinstance(data, dict):
        raise BadRequestError("the body is not a JSON object of filters")
    pairs: list[tuple[str, str]] = []
    for name, value in data.items():
        if value == []:
            # By the documents no filter means all, and the Python client
            # sends an empty list of ids as it is; [] never means all.
            raise BadRequestError(f"{name}: the list is empty")
        values = value if isinstance(value, list) else [value]
        for one in values:
            if not isinstance(one, str | int) or isinstance(one, bool):
                raise BadRequestError(
                    f"{name}: {one!r} is neither text nor number"
                )
            pairs.append((str(name), str(one)))
    return pairs


def where(wanted: Filter, prefix: str = "", time: str = "created_at") -> Q:
    """Return the rows of a filter; `prefix` is the path to the message."""
    condition = Q()
    for name, values in wanted.values.items():
        if name in MESSAGE_FIELDS:
            field = f"{prefix}{MESSAGE_FIELDS[name]}__in"
            wanted_values = values if name in UNSPLIT else split(values)
            condition &= Q(**{field: wanted_values})
    labels = split(wanted.values.get("label", ()))
    if labels:
        condition &= _any_label(labels, f"{prefix}labels")
    for name, lookup in (("fromDate", "gte"), ("toDate", "lte")):
        moment = wanted.number(name)
        if moment is not None:
            condition &= Q(**{f"{time}__{lookup}": moment})
    return condition


def split(values: Iterable[str]) -> list[str]:
    """Join repeated parameters, and values with commas, to one list."""
    return [word for value in values for word in value.split(",") if word]


def _any_label(labels: list[str], field: str) -> Q:
    condition = Q()
    for label in labels:
        # Not __contains, for which SQLite's "prod" is "PROD" too.
        place = StrIndex(field, Value(f",{label},"))
        condition |= Q(GreaterThan(place, 0))
    return condition
