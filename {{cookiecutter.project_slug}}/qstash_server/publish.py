"""Make drafts from a destination, options and a body."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from .conf import Config
from .errors import QuotaError
from .guard import Guard
from .ids import new_id
from .messages import Draft
from .options import CallbackOptions
from .options import Options
from .target import check_url
from .target import is_name
from .target import is_url


@dataclass(frozen=True)
class Destination:
    """One address that gets a copy."""

    url: str
    endpoint_name: str = ""
    topic_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """One request to publish, checked and resolved."""

    account: str
    destinations: tuple[Destination, ...]
    options: Options
    body: bytes
    caller_ip: str = ""
    queue_name: str = ""
    schedule_id: str = ""

    @property
    def to_group(self) -> bool:
        return any(one.topic_name for one in self.destinations)


def check_destination(text: str, guard: Guard) -> str:
    """Return a URL or the name of a group, or raise BadRequestError."""
    if is_name(text) and not is_url(text):
        return text
    url = check_url(text)
    guard.check_url(url, "invalid destination url")
    return url


def check_quotas(
    options: Options, body: bytes, now: int, config: Config
) -> None:
    """Refuse messages beyond the quotas of the plan."""
    quotas = config.quotas
    if wait(options, now) > quotas.max_delay:
        raise QuotaError("maxDelay", quotas.max_delay // 1000)
    most = NO_CAP if quotas.max_retries is None else quotas.max_retries
    callbacks = [callback.retries for _, callback in _callbacks(options)]
    if any((one or 0) > most for one in (options.retries, *callbacks)):
        raise QuotaError("maxRetries", most)
    if len(body) > quotas.max_message_size:
        raise QuotaError("maxMessageSize", quotas.max_message_size)


NO_CAP = 1_000_000_000  # of a column that counts attempts


def check_callbacks(options: Options, guard: Guard) -> None:
    for name, callback in _callbacks(options):
        guard.check_url(callback.url, f"{name}: invalid url")


def wait(options: Options, now: int) -> int:
    """Return the milliseconds to wait; a time in the past means now."""
    if options.not_before is not None:
        return max(0, options.not_before - now)
    return options.delay


def drafts_of(
    publication: Publication, now: int, config: Config
) -> list[Draft]:
    """Return a draft for each destination."""
    options = publication.options
    retries = options.retries
    return [
        Draft(
            message_id=new_id("msg"),
            account=publication.account,
            url=destination.url,
            body=publication.body,
            options=options,
            max_retries=(
                config.default_retries if retries is None else retries
            ),
            created_at=now,
            not_before=now + wait(options, now),
            caller_ip=publication.caller_ip,
            topic_name=destination.topic_name,
            endpoint_name=destination.endpoint_name,
            queue_name=publication.queue_name,
            schedule_id=publication.schedule_id,
            deduplication_key=_deduplication_key(publication, destination.url),
        )
        for destination in publication.destinations
    ]


def _deduplication_key(publication: Publication, url: str) -> str:
    """Return the key that duplicates of this message share.

    By id, it is the id and the URL: one publish to a group must give one
    message for each endpoint (choice 6). By content, it is URL, body,
    type and forwarded headers, as the feature page says; the OpenAPI file
    says body only (choice 8). A schedule's messages are never
    duplicates of each other.
    """
    options = publication.options
    if publication.schedule_id:
        return ""
    if options.deduplication_id:
        return _hash(("id", options.deduplication_id, url))
    if options.content_deduplication:
        headers = (f"{n.lower()}: {v}" for n, v in sorted(options.headers))
        return _hash(("content", url, *headers), publication.body)
    return ""


def _hash(words: Iterable[str], body: bytes = b"") -> str:
    text = "".join(f"{len(word)}:{word}" for word in words)
    return sha256(text.encode() + body).hexdigest()


def _callbacks(
    options: Options,
) -> Iterable[tuple[str, CallbackOptions]]:
    if options.callback is not None:
        yield "upstash-callback", options.callback
    if options.failure_callback is not None:
        yield "upstash-failure-callback", options.failure_callback
