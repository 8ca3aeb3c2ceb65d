"""Messages as QStash signs them, and as an attacker would.

Written from https://upstash.com/docs/qstash/howto/signature alone: what the
site believes is not what the site's own code says of it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace

import jwt


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A message on its way to the webhook; forge it with `but`."""

    url: str
    key: str
    body: bytes
    signed_body: bytes | None = None  # if another one than `body`
    issued_at: float = field(default_factory=time.time)
    algorithm: str = "HS256"

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "Upstash-Signature": self.signature,
        }

    @property
    def signature(self) -> str:
        signed = self.body if self.signed_body is None else self.signed_body
        digest = hashlib.sha256(signed).digest()
        claims = {
            "iss": "Upstash",
            "sub": self.url,
            "aud": "",
            "iat": int(self.issued_at),
            "nbf": int(self.issued_at),
            "exp": int(self.issued_at) + 300,
            "jti": f"jwt_{secrets.token_hex(14)}",
            "body": base64.urlsafe_b64encode(digest).decode(),
        }
        return jwt.encode(claims, self.key, self.algorithm)

    def but(self, **changes: object) -> Letter:
        return replace(self, **changes)  # type: ignore[arg-type]


def bell(run_id: str, workflow_id: str, token: str) -> bytes:
    """Return the body of a message for a run."""
    return json.dumps(
        {"run_id": run_id, "workflow_id": workflow_id, "token": token}
    ).encode()
