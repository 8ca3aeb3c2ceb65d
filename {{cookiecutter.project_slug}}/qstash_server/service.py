"""The objects that request handlers work with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from .accounts import Account
from .accounts import KeyPair
from .clock import Clock
from .conf import Config
from .errors import BadRequestError
from .guard import Guard
from .listener import Request
from .store import keys
from .target import Target
from .texts import check_texts


class NoAccountError(LookupError):
    """A message's account is gone: a test user of a time with DEBUG on."""

    def __init__(self, account: str) -> None:
        super().__init__(f"account {account} does not exist any more")


@dataclass
class KeyRing:
    """The signing keys of all accounts, from the database."""

    _pairs: dict[str, KeyPair] = field(default_factory=dict)

    def load(self, account: Account) -> None:
        self._pairs[account.name] = keys.load(account)

    def pair(self, account: str) -> KeyPair:
        return self._pairs[account]

    def current(self, account: str) -> str:
        """Return the key to sign with; never an empty one."""
        pair = self._pairs.get(account)
        if pair is None:
            raise NoAccountError(account)
        return pair.current

    def rotate(self, account: str) -> KeyPair:
        self._pairs[account] = keys.rotate(account)
        return self._pairs[account]


@dataclass(frozen=True)
class Service:
    """The parts of a running server that handlers need."""

    config: Config
    clock: Clock
    guard: Guard
    keys: KeyRing
    wake_dispatcher: Callable[[], None]  # wakes the dispatcher
    workers: int  # deliveries at the same time


@dataclass(frozen=True)
class Call:
    """A request of an authenticated account to a known operation."""

    service: Service
    account: str
    request: Request
    target: Target
    names: tuple[str, ...] = ()  # the decoded variable parts of the path

    @property
    def now(self) -> int:
        return self.service.clock.now()

    def json(self) -> Any:
        """Read the body as JSON, or raise BadRequestError."""
        data = self.unchecked_json()
        check_texts(data)
        return data

    def unchecked_json(self) -> Any:
        """Read the body of a batch, whose items are checked one by one."""
        try:
            return json.loads(self.request.body)
        except (ValueError, RecursionError) as error:
            raise BadRequestError(f"the body is not JSON: {error}") from error
