"""Decide which destinations may be called: publishers choose the address.

Without this rule anyone with the token could make this machine send
requests into networks that only this machine can reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from .conf import Config
from .errors import BadRequestError


class ForbiddenError(Exception):
    """The address of a destination may not be called."""


@dataclass(frozen=True)
class Guard:
    """Loopback and the project's own host by default, more by setting.

    The hosted service refuses loopback; a local server exists for it
    (choice 24).
    """

    own_host: str
    allowed: tuple[str, ...]
    routed: tuple[str, ...] = ()  # where the hosts of a setting are led

    @classmethod
    def of(cls, config: Config) -> Guard:
        return cls(
            config.own_host,
            (*config.allowed_hosts, *config.routes),
            tuple(host for _, host, _ in config.routes.values()),
        )

    def check_url(self, url: str, what: str) -> None:
        """Refuse a destination when it is published."""
        host = urlsplit(url).hostname or ""
        if not (self._is_named(host) or is_loopback_name(host)):
            raise BadRequestError(
                f"{what}: {host} is neither loopback nor this project's"
                " own host; add it to QSTASH_SERVER_ALLOWED_HOSTS to"
                " deliver there"
            )

    def check_address(self, host: str, address: str) -> None:
        """Refuse the address to which the name of a host was resolved."""
        if self._is_named(host) or host in self.routed:
            return
        if not is_loopback_name(host) or not _is_loopback(address):
            raise ForbiddenError(
                f"{host} resolves to {address}, which is not loopback; add"
                f" {host} to QSTASH_SERVER_ALLOWED_HOSTS to deliver there"
            )

    def _is_named(self, host: str) -> bool:
        own = bool(self.own_host) and host == self.own_host
        return own or "*" in self.allowed or host in self.allowed


def is_loopback_name(host: str) -> bool:
    """True if `host` can only be this machine."""
    return (
        host == "localhost"
        or host.endswith(".localhost")
        or _is_loopback(host)
    )


def is_address(host: str) -> bool:
    """True if it is an IP address and not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
