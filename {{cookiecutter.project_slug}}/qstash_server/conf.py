"""The configuration, as one frozen value read from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from .clock import DAY
from .clock import HOUR
from .clock import MINUTE
from .errors import BadRequestError
from .errors import ConfigurationError
from .target import Address
from .target import address_of
from .target import check_url

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Quotas:
    """Limits whose excess is answered with 412.

    The defaults are those of the pay-as-you-go plan (upstash.com/pricing,
    2026-05-07); the setting QSTASH_SERVER_QUOTAS overrides them by name.
    """

    max_delay: int = 365 * DAY  # milliseconds
    max_retries: int | None = None  # no documented cap, so none
    max_message_size: int = 10 * MEGABYTE
    max_batch_size: int = 100 * MEGABYTE
    max_queues: int = 100
    max_queue_parallelism: int = 10
    max_schedules: int = 1000
    max_url_groups: int = 100
    max_endpoints: int = 100
    max_timeout: int = 2 * HOUR  # milliseconds


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of one server."""

    token: str
    current_key: str
    next_key: str
    debug: bool = False
    own_host: str = ""  # of DJANGO_HOOKFLOW_DOMAIN
    allowed_hosts: tuple[str, ...] = ()  # QSTASH_SERVER_ALLOWED_HOSTS
    # QSTASH_SERVER_ROUTES: where deliveries to a host go instead.
    routes: Mapping[str, Address] = field(default_factory=dict)
    quotas: Quotas = field(default_factory=Quotas)
    default_retries: int = 3
    # How long a finished message can still be read: the service says
    # "shortly", its clients' tests are content with this (choice 20).
    readable_for: int = MINUTE
    keep_logs: int = 7 * DAY
    keep_dead_letters: int = 7 * DAY
    # The deduplication window of the documents; comments in the JavaScript
    # client still say 90 days (choice 7).
    deduplicate_for: int = 10 * MINUTE
    max_response: int = MEGABYTE  # bytes kept of an answer
    max_connections: int = 512  # of clients
    # Bytes of the requests that are read or answered at the same time. What
    # has no room is answered with 503; the largest request always has some.
    max_bodies: int = 256 * MEGABYTE
    idle_seconds: float = 75.0  # that a client may keep a connection idle
    read_seconds: float = 60.0  # that a client may take for a request
    keep_seconds: float = 30.0  # that a connection to a destination may idle
    burst_limit: int = 1000  # requests a second, publishing not counted

    @property
    def max_request(self) -> int:
        """Bytes of the largest body that is read at all."""
        return self.quotas.max_batch_size + MEGABYTE

    @classmethod
    def from_settings(cls) -> Config:
        """Read the settings, or raise ConfigurationError."""
        return cls(
            token=_setting("QSTASH_TOKEN", ""),
            current_key=_setting("QSTASH_CURRENT_SIGNING_KEY", ""),
            next_key=_setting("QSTASH_NEXT_SIGNING_KEY", ""),
            debug=settings.DEBUG,
            own_host=host_of(str(_setting("DJANGO_HOOKFLOW_DOMAIN", ""))),
            allowed_hosts=_hosts(_setting("QSTASH_SERVER_ALLOWED_HOSTS", ())),
            routes=_routes(_setting("QSTASH_SERVER_ROUTES", {})),
            quotas=_quotas(_setting("QSTASH_SERVER_QUOTAS", {})),
        )


def host_of(address: str) -> str:
    """Return the host of "https://example.com/x" or "example.com:80"."""
    with_scheme = address if "//" in address else f"//{address}"
    try:
        return urlsplit(with_scheme).hostname or ""
    except ValueError:
        return ""  # such as "http://["; a check of the engine names it


def _hosts(value: Any) -> tuple[str, ...]:
    """Refuse a plain string: it would be read as single characters."""
    is_list = isinstance(value, list | tuple | set | frozenset)
    if not is_list or not all(isinstance(one, str) for one in value):
        raise ConfigurationError(
            f"QSTASH_SERVER_ALLOWED_HOSTS is {value!r}, not a list of names.",
            'Write each name in full, for example ["hooks.example.com"].',
        )
    return tuple(one.lower() for one in value)


def _routes(value: Any) -> dict[str, Address]:
    if not isinstance(value, Mapping):
        raise _no_route(repr(value))
    return {
        str(host).lower(): _route(host, base) for host, base in value.items()
    }


def _route(host: object, base: object) -> Address:
    named = isinstance(host, str) and host and host_of(host) == host.lower()
    if not (named and isinstance(base, str)):
        raise _no_route(f"{host!r}: {base!r}")
    try:
        parts = urlsplit(check_url(base))
    except BadRequestError as error:
        raise _no_route(f"{host!r}: {base!r}") from error
    if parts.path.strip("/") or parts.query:
        raise _no_route(f"{host!r}: {base!r}")
    return address_of(parts)


def _no_route(text: str) -> ConfigurationError:
    return ConfigurationError(
        f"QSTASH_SERVER_ROUTES has {text}, which leads nowhere.",
        "Map the name of a host to the scheme, host and port to deliver to,"
        ' for example {"shop.example.com": "http://127.0.0.1:8000"}.',
    )


def _quotas(value: Any) -> Quotas:
    known = [one.name for one in fields(Quotas)]
    for name, limit in dict(value).items():
        if name not in known:
            close = get_close_matches(name, known, 1) or [", ".join(known)]
            raise ConfigurationError(
                f"QSTASH_SERVER_QUOTAS has a limit {name!r}, which there is"
                " not.",
                f"Did you mean {close[0]}?",
            )
        if type(limit) is not int and not (
            name == "max_retries" and not limit
        ):
            raise ConfigurationError(
                f"QSTASH_SERVER_QUOTAS has {limit!r} for {name}.",
                "Give a whole number.",
            )
    return Quotas(**value)


def _setting(name: str, default: Any) -> Any:
    value = getattr(settings, name, None)
    return default if value is None else value
