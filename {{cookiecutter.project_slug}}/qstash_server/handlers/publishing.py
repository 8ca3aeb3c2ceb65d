"""Publish, enqueue and batch: messages are stored when we answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from ..errors import ApiError
from ..errors import BadRequestError
from ..errors import QuotaError
from ..errors import UnservedError
from ..models import Lane
from ..options import Options
from ..options import Pairs
from ..options import check_field_name
from ..options import parse_options
from ..publish import Destination
from ..publish import Publication
from ..publish import check_callbacks
from ..publish import check_destination
from ..publish import check_quotas
from ..publish import drafts_of
from ..replies import Reply
from ..replies import answer
from ..service import Call
from ..store import groups
from ..store import lanes
from ..store import messages
from ..store.messages import Inserted
from ..target import check_name
from ..target import is_url
from ..texts import check_text
from ..texts import check_unicode
from ..wire import as_latin

PUBLISH = "/v2/publish/"
ENQUEUE = "/v2/enqueue/"


@dataclass(frozen=True)
class Asked:
    """One message that a client asks for, unchecked."""

    destination: str
    headers: Pairs
    parameters: tuple[tuple[str, str], ...]
    body: bytes
    queue: str = ""


def publish(call: Call) -> Reply:
    return _send_one(call, asked_of(call, PUBLISH))


def enqueue(call: Call) -> Reply:
    """Create the queue if it does not exist, as the documents say.

    The OpenAPI file lists a 404 here, which contradicts them.
    """
    segment = call.target.path[len(ENQUEUE) :].partition("/")[0]
    queue = check_name(unquote(segment), "queue name")
    return _send_one(call, asked_of(call, f"{ENQUEUE}{segment}/", queue))


def batch(call: Call) -> Reply:
    """Publish messages in one transaction; only invalid ones are refused.

    The shape of their error is not documented; it is in the place of the item
    (choice 21). The answer is 200 even when all are duplicates, since a batch
    does not have the status of one item (choice 34).
    """
    if len(call.request.body) > call.service.config.quotas.max_batch_size:
        limit = call.service.config.quotas.max_batch_size
        raise QuotaError("maxBatchSize", limit)
    items = call.unchecked_json()
    if not isinstance(items, list):
        raise BadRequestError("the body is not a JSON array of messages")
    checked = _within_quota(call, [_checked(call, item) for item in items])
    publications = [one for one in checked if isinstance(one, Publication)]
    sent = iter(_send(call, publications))
    return answer(
        [
            _view(one, next(sent))
            if isinstance(one, Publication)
            else {"error": one.text}
            for one in checked
        ]
    )


def asked_of(call: Call, prefix: str, queue: str = "") -> Asked:
    """Return the target, headers and body of a publish request."""
    return Asked(
        call.target.destination(prefix),
        call.request.headers,
        tuple(call.target.settings()),
        call.request.body,
        queue,
    )


def resolve(call: Call, asked: Asked) -> Publication:
    """Check all that can be checked before a row is written."""
    service = call.service
    destination = check_destination(asked.destination, service.guard)
    destinations, defaults = addresses(call.account, destination)
    options = parse_options(with_defaults(defaults, asked), asked.parameters)
    if options.cron:
        # As in v1. Delivered once, at once, it would never come again.
        raise BadRequestError(
            "upstash-cron: a schedule is made by POST /v2/schedules/"
            f"{asked.destination}"
        )
    check_options(call, options, asked.body)
    return Publication(
        account=call.account,
        destinations=destinations,
        options=options,
        body=asked.body,
        caller_ip=call.request.client,
        queue_name=asked.queue,
    )


def check_options(call: Call, options: Options, body: bytes) -> None:
    """Check the callbacks' addresses and the plan's quotas."""
    check_callbacks(options, call.service.guard)
    check_quotas(options, body, call.now, call.service.config)


def _send_one(call: Call, asked: Asked) -> Reply:
    """Answer 200 as in the documents, not 201 (choice 1); duplicates 202."""
    publication = resolve(call, asked)
    check_queues(call, [publication.queue_name])
    (inserted,) = _send(call, [publication])
    single = not publication.to_group
    status = 202 if single and inserted[0].duplicate else 200
    return answer(_view(publication, inserted), status)


def _send(call: Call, publications: list[Publication]) -> list[list[Inserted]]:
    """Store the messages, wake the dispatcher, return results in order."""
    config, now = call.service.config, call.now
    drafts = [drafts_of(one, now, config) for one in publications]
    inserted = iter(
        messages.insert(
            [draft for group in drafts for draft in group],
            keep_duplicates_for=config.deduplicate_for,
        )
    )
    call.service.wake_dispatcher()
    return [[next(inserted) for _ in group] for group in drafts]


def _view(publication: Publication, inserted: list[Inserted]) -> Any:
    """Return an object, or an array for a group.

    `url` is for groups only: of a single publish only old documents show
    it (choice 4).
    """
    if publication.to_group:
        return [_item(one) | {"url": one.url} for one in inserted]
    return _item(inserted[0])


def _item(one: Inserted) -> dict[str, Any]:
    if one.duplicate:
        return {"messageId": one.message_id, "deduplicated": True}
    return {"messageId": one.message_id}


def addresses(
    account: str, destination: str
) -> tuple[tuple[Destination, ...], Pairs]:
    """Return the destination of a message, and a group's default headers."""
    if is_url(destination):
        return (Destination(destination),), ()
    group = groups.get(account, destination)
    defaults = tuple((name, value) for name, value in group.headers)
    return groups.destinations(group), defaults


def with_defaults(defaults: Pairs, asked: Asked) -> Pairs:
    given = {n.lower() for n, _ in (*asked.headers, *asked.parameters)}
    return asked.headers + tuple(
        (name, value) for name, value in defaults if name.lower() not in given
    )


def check_queues(call: Call, names: Iterable[str]) -> None:
    """Refuse too many queues; these are created if they do not exist."""
    wanted = set(filter(None, names))
    if not wanted:
        return
    most = call.service.config.quotas.max_queues
    queues = lanes.lanes_of(call.account, Lane.Kind.QUEUE)
    new = wanted - set(
        queues.filter(name__in=wanted).values_list("name", flat=True)
    )
    if new and queues.count() + len(new) > most:
        raise QuotaError("maxQueues", most)


def _within_quota(
    call: Call, checked: list[Publication | ApiError]
) -> list[Publication | ApiError]:
    """Refuse the items whose queue would be one too many."""
    admitted: set[str] = set()
    results: list[Publication | ApiError] = []
    for one in checked:
        name = one.queue_name if isinstance(one, Publication) else ""
        try:
            if name not in admitted:
                check_queues(call, {*admitted, name})
            admitted.add(name)
            results.append(one)
        except QuotaError as error:
            results.append(error)
    return results


def _checked(call: Call, item: object) -> Publication | ApiError:
    try:
        return resolve(call, _asked_of_item(item))
    except UnservedError:
        raise
    except ApiError as error:
        return error


def _asked_of_item(item: object) -> Asked:
    if not isinstance(item, dict):
        raise BadRequestError("an item is not a JSON object")
    destination = _text(item, "destination")
    check_text(destination, "destination")
    if not destination:
        raise BadRequestError("destination: missing")
    headers = item.get("headers")
    headers = {} if headers is None else headers
    if not isinstance(headers, dict):
        raise BadRequestError("headers: not an object of names and texts")
    queue = _text(item, "queue")
    return Asked(
        destination,
        tuple(
            (check_field_name(name), as_latin(_text(headers, name)))
            for name in headers
        ),
        (),
        _text(item, "body").encode(),
        check_name(queue, "queue") if queue else "",
    )


def _text(item: dict[str, object], name: str) -> str:
    value = item.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequestError(f"{name}: {value!r} is not a text")
    check_unicode(value, name)
    return value
