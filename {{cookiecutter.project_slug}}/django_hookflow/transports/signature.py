"""QStash's signature: a JWT with the address and the hash of the body.

Facts from https://upstash.com/docs/qstash/howto/signature (2026-08). The
official Receiver is not used: it ignores its clock tolerance, fails on bytes
and reports a wrong cause.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime
from datetime import timedelta
from typing import Any

import jwt
from jwt.types import Options

from django_hookflow import clock
from django_hookflow.conf import conf
from django_hookflow.exceptions import InvalidDelivery

ISSUER = "Upstash"
LEEWAY = timedelta(seconds=10)
LIFETIME = timedelta(minutes=5)

# The keys of the official development server are printed in its docs, so
# anyone can sign with them: https://upstash.com/docs/qstash/howto/local-development
PUBLIC_KEYS = frozenset(
    {
        "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
        "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
        "sig_7GVPjvuwsfqF65iC8fSrs1dfYruM",
        "sig_5NoELc3EFnZn4DVS5bDs2Nk4b7Ua",
        "sig_6jWGaWRxHsw4vMSPJprXadyvrybF",
        "sig_7qHbvhmahe5GwfePDiS5Lg3pi6Qx",
        "sig_5T8FcSsynBjn9mMLBsXhpacRovJf",
        "sig_7GFR4YaDshFcqsxWRZpRB161jguD",
    }
)

# Explains the expected value of a claim.
EXPLANATIONS = {
    "iss": "only QStash should have the signing keys",
    "sub": "DJANGO_HOOKFLOW_DOMAIN and the path of the webhook",
}

# Expiry and the rest are checked below, against our own clock.
SIGNATURE_ONLY: Options = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


def sign(body: bytes, url: str) -> str:
    """Return a token as QStash makes it, for transports that imitate it."""
    now = clock.now()
    claims = {
        "aud": "",
        "body": body_hash(body),
        "exp": int((now + LIFETIME).timestamp()),
        "iat": int(now.timestamp()),
        "iss": ISSUER,
        "jti": f"jwt_{secrets.token_hex(14)}",
        "nbf": int(now.timestamp()),
        "sub": url,
    }
    return jwt.encode(claims, conf.QSTASH_CURRENT_SIGNING_KEY, "HS256")


def verify_qstash_signature(token: str, body: bytes, url: str) -> None:
    """Raise InvalidDelivery unless QStash signed the body for `url`.

    Its text is for the site's log, not for the sender.
    """
    claims = _signed_claims(token)
    _compare("iss", claims.get("iss"), ISSUER)
    _compare("sub", claims.get("sub"), url)
    _check_time(claims, clock.now())
    # A lone surrogate cannot be encoded.
    signed = str(claims.get("body", "")).encode(errors="replace")
    if not hmac.compare_digest(
        signed.rstrip(b"="), body_hash(body).rstrip("=").encode()
    ):
        raise InvalidDelivery("The body is not the one that was signed")


def body_hash(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode()


def _signed_claims(token: str) -> dict[str, Any]:
    """Return the claims, if the current or the next key signed them."""
    reason = "No signing key is configured"
    for key in _keys():
        try:
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=["HS256"], options=SIGNATURE_ONLY
            )
            return claims
        # The head of a token is JSON that anyone may write: the parser raises
        # RecursionError for a thousand brackets.
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            reason = str(error)
    raise InvalidDelivery(
        f"{reason}. QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY "
        "must be those of the QStash that sends"
    )


def _keys() -> list[str]:
    """Return the keys; with an empty one, anyone could sign."""
    keys = (conf.QSTASH_CURRENT_SIGNING_KEY, conf.QSTASH_NEXT_SIGNING_KEY)
    return [key for key in keys if key]


def _compare(claim: str, found: object, expected: str) -> None:
    if found != expected:
        raise InvalidDelivery(
            f"Signature claim {claim!r} is {found!r}, expected {expected!r} "
            f"({EXPLANATIONS[claim]})"
        )


def _is_seconds(value: object) -> bool:
    """True when it is an int that can be compared with a float."""
    return type(value) is int and abs(value) < 2**53


def _check_time(claims: Mapping[str, Any], now: datetime) -> None:
    expires: Any = claims.get("exp")
    begins: Any = claims.get("nbf", 0)
    if not (_is_seconds(expires) and _is_seconds(begins)):
        raise InvalidDelivery(
            "Signature claim 'exp' or 'nbf' is not a number of seconds"
        )
    moment, leeway = now.timestamp(), LEEWAY.total_seconds()
    if moment > expires + leeway:
        raise InvalidDelivery(
            f"The signature expired {moment - expires:.0f} seconds ago",
            kind="expired",
        )
    # QStash sends the year 1 as nbf: a large negative number is fine.
    if moment < begins - leeway:
        raise InvalidDelivery(
            "The signature is not valid for another "
            f"{begins - moment:.0f} seconds: compare the clocks"
        )
