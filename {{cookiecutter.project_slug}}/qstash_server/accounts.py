"""Users of the server: the project, and in DEBUG the public test users.

Accounts never see each other's messages, queues, groups or dead letters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .conf import Config
from .errors import ConfigurationError

PROJECT = "project"


@dataclass(frozen=True)
class KeyPair:
    """The signing keys: we sign with the first, receivers know both."""

    current: str
    next: str


@dataclass(frozen=True)
class Account:
    name: str
    token: str
    keys: KeyPair  # as configured; a rotation is kept in the database


# Published in Upstash's documentation, so they are not secret
# (https://upstash.com/docs/qstash/howto/local-development).
PUBLIC_USERS = (
    Account(
        "defaultUser",
        "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3"
        "b3JkIn0=",
        KeyPair(
            "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
            "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
        ),
    ),
    Account(
        "testUser1",
        "eyJVc2VySUQiOiJ0ZXN0VXNlcjEiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
        KeyPair(
            "sig_7GVPjvuwsfqF65iC8fSrs1dfYruM",
            "sig_5NoELc3EFnZn4DVS5bDs2Nk4b7Ua",
        ),
    ),
    Account(
        "testUser2",
        "eyJVc2VySUQiOiJ0ZXN0VXNlcjIiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
        KeyPair(
            "sig_6jWGaWRxHsw4vMSPJprXadyvrybF",
            "sig_7qHbvhmahe5GwfePDiS5Lg3pi6Qx",
        ),
    ),
    Account(
        "testUser3",
        "eyJVc2VySUQiOiJ0ZXN0VXNlcjMiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
        KeyPair(
            "sig_5T8FcSsynBjn9mMLBsXhpacRovJf",
            "sig_7GFR4YaDshFcqsxWRZpRB161jguD",
        ),
    ),
)


def accounts_of(config: Config) -> Mapping[str, Account]:
    """Return the accounts by token, or raise ConfigurationError.

    The four public users exist only in DEBUG. When the project itself uses
    one of their tokens, it is that account with the project's keys.
    """
    _require(config)
    project = Account(
        PROJECT, config.token, KeyPair(config.current_key, config.next_key)
    )
    public = PUBLIC_USERS if config.debug else ()
    return {user.token: user for user in public} | {config.token: project}


def _require(config: Config) -> None:
    for name, value in (
        ("QSTASH_TOKEN", config.token),
        ("QSTASH_CURRENT_SIGNING_KEY", config.current_key),
        ("QSTASH_NEXT_SIGNING_KEY", config.next_key),
    ):
        if not value:
            raise ConfigurationError(
                f"{name} is empty, so the server cannot sign or authenticate.",
                "Set it to a random text of your own, for example the output"
                ' of python -c "import secrets; print(secrets.token_hex())".',
            )
        if not config.debug and is_public(value):
            raise ConfigurationError(
                f"{name} is one of Upstash's public development values,"
                " so anyone can use it, and DEBUG is off.",
                "Set it to a random text of your own.",
            )


def is_public(value: str) -> bool:
    """Return whether a token or key is published in the documentation."""
    return any(
        value in (user.token, user.keys.current, user.keys.next)
        for user in PUBLIC_USERS
    )
