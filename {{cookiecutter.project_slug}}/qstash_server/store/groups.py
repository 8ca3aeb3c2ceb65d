"""URL groups: the wire calls them topics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import NotFoundError
from ..errors import QuotaError
from ..models import Endpoint
from ..models import UrlGroup
from ..options import Pairs
from ..publish import Destination
from .writing import written


@dataclass(frozen=True)
class EndpointEntry:
    """An endpoint as a client names it: by URL, by name, or both."""

    url: str = ""
    name: str = ""


def groups_of(account: str) -> list[UrlGroup]:
    return list(
        UrlGroup.objects.filter(account=account)
        .order_by("name")
        .prefetch_related("endpoints")
    )


def get(account: str, name: str) -> UrlGroup:
    group = UrlGroup.objects.filter(account=account, name=name).first()
    if group is None:
        raise NotFoundError("url group", name)
    return group


def destinations(group: UrlGroup) -> tuple[Destination, ...]:
    """Return the present destinations of a message to the group."""
    return tuple(
        Destination(endpoint.url, endpoint.name, group.name)
        for endpoint in group.endpoints.order_by("pk")
    )


@written
def add_endpoints(
    account: str,
    name: str,
    entries: Sequence[EndpointEntry],
    now: int,
    *,
    max_groups: int,
    max_endpoints: int,
) -> None:
    """Add endpoints, and the group if needed; a new name replaces the old."""
    group = _locked(account, name) or _new(account, name, now, max_groups)
    for entry in entries:
        endpoint, _ = Endpoint.objects.get_or_create(
            group=group, url=entry.url
        )
        if entry.name:
            Endpoint.objects.filter(pk=endpoint.pk).update(name=entry.name)
    if group.endpoints.count() > max_endpoints:
        raise QuotaError("maxEndpointsPerTopic", max_endpoints)
    UrlGroup.objects.filter(pk=group.pk).update(updated_at=now)


@written
def remove_endpoints(
    account: str, name: str, entries: Sequence[EndpointEntry], now: int
) -> None:
    """Remove endpoints by URL or name, and an empty group."""
    group = _locked(account, name)
    if group is None:
        raise NotFoundError("url group", name)
    for entry in entries:
        if entry.url:
            group.endpoints.filter(url=entry.url).delete()
        else:
            group.endpoints.filter(name=entry.name).delete()
    if group.endpoints.exists():
        UrlGroup.objects.filter(pk=group.pk).update(updated_at=now)
    else:
        group.delete()


@written
def set_headers(account: str, name: str, headers: Pairs, now: int) -> None:
    """Set the default headers of messages; those of a publisher win."""
    UrlGroup.objects.filter(account=account, name=name).update(
        headers=[list(pair) for pair in headers], updated_at=now
    )


@written
def delete(account: str, name: str) -> None:
    UrlGroup.objects.filter(account=account, name=name).delete()


def _locked(account: str, name: str) -> UrlGroup | None:
    return (
        UrlGroup.objects.filter(account=account, name=name)
        .select_for_update()
        .first()
    )


def _new(account: str, name: str, now: int, most: int) -> UrlGroup:
    if UrlGroup.objects.filter(account=account).count() >= most:
        raise QuotaError("maxTopics", most)
    group, _ = UrlGroup.objects.get_or_create(
        account=account,
        name=name,
        defaults={"created_at": now, "updated_at": now},
    )
    return group
