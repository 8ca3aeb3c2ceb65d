"""The JWT in `Upstash-Signature`, as a token of July 2026 had it."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from hashlib import sha256

LIFETIME = 300  # seconds
# Go's zero time, which the service has sent as `nbf` since September 2024.
NOT_BEFORE = -62135596800
HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"  # HS256, JWT


def sign(
    key: str,
    *,
    url: str,
    body: bytes,
    jti: str,
    issued_at: int,
    expires_at: int | None = None,
) -> str:
    """Sign `body` for `url`, with the whole text `sig_…` as key.

    The URL is exactly the stored one (choice 10); claims beyond those of one
    genuine token are not known (choice 31).

    Times are Unix seconds of the world, not of a scaled clock.
    """
    claims = {  # in the alphabetical order of Go's maps
        "aud": "",
        "body": body_hash(body),
        "exp": expires_at or issued_at + LIFETIME,
        "iat": issued_at,
        "iss": "Upstash",
        "jti": jti,
        "nbf": NOT_BEFORE,
        "sub": url,
    }
    payload = _unpadded(json.dumps(claims, separators=(",", ":")).encode())
    signed = f"{HEADER}.{payload}"
    seal = hmac.digest(key.encode(), signed.encode(), "sha256")
    return f"{signed}.{_unpadded(seal)}"


def body_hash(body: bytes) -> str:
    """Return the SHA-256 in base64url, with its padding."""
    return urlsafe_b64encode(sha256(body).digest()).decode()


def _unpadded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
