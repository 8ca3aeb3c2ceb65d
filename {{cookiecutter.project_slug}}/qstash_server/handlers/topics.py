"""/v2/topics: URL groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import BadRequestError
from ..models import UrlGroup
from ..options import Pairs
from ..options import check_field_name
from ..options import parse_options
from ..replies import Reply
from ..replies import answer
from ..replies import done
from ..service import Call
from ..store import groups
from ..store.groups import EndpointEntry
from ..target import check_name
from ..target import check_url
from ..wire import as_latin
from .publishing import check_options


def list_all(call: Call) -> Reply:
    return answer([_view(group) for group in groups.groups_of(call.account)])


def get(call: Call) -> Reply:
    return answer(_view(groups.get(call.account, call.names[0])))


def delete(call: Call) -> Reply:
    groups.delete(call.account, call.names[0])
    return done()


def add_endpoints(call: Call) -> Reply:
    name = check_name(call.names[0], "url group name")
    entries = [_callable(call, entry) for entry in _entries(call)]
    quotas = call.service.config.quotas
    groups.add_endpoints(
        call.account,
        name,
        entries,
        call.now,
        max_groups=quotas.max_url_groups,
        max_endpoints=quotas.max_endpoints,
    )
    return done()


def remove_endpoints(call: Call) -> Reply:
    entries = [_stored(entry) for entry in _entries(call)]
    groups.remove_endpoints(call.account, call.names[0], entries, call.now)
    return done()


def set_headers(call: Call) -> Reply:
    """Set default headers, whose values are texts or lists of texts."""
    group = groups.get(call.account, call.names[0])
    headers = _headers(_object(call).get("headers"))
    # Refuse now what would fail at each publish.
    check_options(call, parse_options(headers), b"")
    groups.set_headers(call.account, group.name, headers, call.now)
    return done()


def _entries(call: Call) -> list[EndpointEntry]:
    entries = _object(call).get("endpoints")
    if not isinstance(entries, list) or not entries:
        raise BadRequestError("endpoints: a list of them is expected")
    return [_entry(entry) for entry in entries]


def _callable(call: Call, entry: EndpointEntry) -> EndpointEntry:
    url = check_url(entry.url, "invalid endpoint url")
    call.service.guard.check_url(url, "invalid endpoint url")
    return replace(entry, url=url)


def _stored(entry: EndpointEntry) -> EndpointEntry:
    """Return an endpoint with its URL as it is stored and called."""
    if not entry.url:
        return entry
    return replace(entry, url=check_url(entry.url, "invalid endpoint url"))


def _entry(entry: object) -> EndpointEntry:
    if not isinstance(entry, dict):
        raise BadRequestError("endpoints: an endpoint is not an object")
    url, name = entry.get("url") or "", entry.get("name") or ""
    if not (isinstance(url, str) and isinstance(name, str)):
        raise BadRequestError("endpoints: url and name must be texts")
    if not (url or name):
        raise BadRequestError("endpoints: an endpoint has no url")
    return EndpointEntry(
        url, check_name(name, "endpoint name") if name else ""
    )


def _headers(data: object) -> Pairs:
    if not isinstance(data, dict):
        raise BadRequestError("headers: an object is expected")
    pairs = []
    for name, value in data.items():
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, str):
                raise BadRequestError(f"headers: {name} is not a text")
            pairs.append((check_field_name(name), as_latin(one)))
    return tuple(pairs)


def _object(call: Call) -> dict[str, Any]:
    data = call.json()
    if not isinstance(data, dict):
        raise BadRequestError("the body is not a JSON object")
    return data


def _view(group: UrlGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "createdAt": group.created_at,
        "updatedAt": group.updated_at,
        "endpoints": [
            {"url": one.url} | ({"name": one.name} if one.name else {})
            for one in group.endpoints.all()
        ],
    }
