"""The vectors of the wire contract, and the official receiver."""

from __future__ import annotations

import pytest

from qstash_server.accounts import PUBLIC_USERS
from qstash_server.signing import body_hash
from qstash_server.signing import sign

KEYS = PUBLIC_USERS[0].keys
URL = "http://127.0.0.1:8000/qstash/hook/?a=1"
BODY = b'{"hello":"world"}'
JTI = "jwt_local0000000000000000001"
HEAD = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
V1 = (
    f"{HEAD}.eyJhdWQiOiIiLCJib2R5IjoiazZJNWNha1U1ZXJMOEtqU1VWVE5vd25Ed2NjdnU"
    "1a1UxSHhnODh0b0ZZZz0iLCJleHAiOjQxMDI0NDQ4MDAsImlhdCI6MTcwMDAwMDAwMCwia"
    "XNzIjoiVXBzdGFzaCIsImp0aSI6Imp3dF9sb2NhbDAwMDAwMDAwMDAwMDAwMDAwMDEiLCJ"
    "uYmYiOi02MjEzNTU5NjgwMCwic3ViIjoiaHR0cDovLzEyNy4wLjAuMTo4MDAwL3FzdGFza"
    "C9ob29rLz9hPTEifQ.LvcZJbcbDEwvqJhho5BGW0_8uI0h3XxxRwlpwjo7QV4"
)
V2 = (
    f"{HEAD}.eyJhdWQiOiIiLCJib2R5IjoiNDdERVFwajhIQlNhLV9USW1XLTVKQ2V1UWVSa20"
    "1Tk1wSldaRzNoU3VGVT0iLCJleHAiOjQxMDI0NDQ4MDAsImlhdCI6MTcwMDAwMDAwMCwia"
    "XNzIjoiVXBzdGFzaCIsImp0aSI6Imp3dF9sb2NhbDAwMDAwMDAwMDAwMDAwMDAwMDEiLCJ"
    "uYmYiOi02MjEzNTU5NjgwMCwic3ViIjoiaHR0cDovLzEyNy4wLjAuMTo4MDAwL3FzdGFza"
    "C9ob29rLz9hPTEifQ.tFT1SFGAMNyLJVuXllpSsSuOzG2zRPDNL-9DDW_6Yd8"
)
V3 = (
    f"{HEAD}.eyJhdWQiOiIiLCJib2R5IjoiazZJNWNha1U1ZXJMOEtqU1VWVE5vd25Ed2NjdnU"
    "1a1UxSHhnODh0b0ZZZz0iLCJleHAiOjE3MDAwMDAzMDAsImlhdCI6MTcwMDAwMDAwMCwia"
    "XNzIjoiVXBzdGFzaCIsImp0aSI6Imp3dF9sb2NhbDAwMDAwMDAwMDAwMDAwMDAwMDEiLCJ"
    "uYmYiOi02MjEzNTU5NjgwMCwic3ViIjoiaHR0cDovLzEyNy4wLjAuMTo4MDAwL3FzdGFza"
    "C9ob29rLz9hPTEifQ.OobPWxh1Z_EW766Tkn9sUhdISY0_LyyKpi6bdAo4qu4"
)


@pytest.mark.parametrize(
    ("key", "body", "expires_at", "vector"),
    [
        (KEYS.current, BODY, 4102444800, V1),
        (KEYS.next, b"", 4102444800, V2),
        (KEYS.current, BODY, None, V3),
    ],
)
def test_signature_is_that_of_the_vector(
    key: str, body: bytes, expires_at: int | None, vector: str
) -> None:
    token = sign(
        key,
        url=URL,
        body=body,
        jti=JTI,
        issued_at=1700000000,
        expires_at=expires_at,
    )

    assert token == vector


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU="),
        (BODY, "k6I5cakU5erL8KjSUVTNownDwccvu5kU1Hxg88toFYg="),
        (b"\xff\x00", "6l2_lZbRh-lQDyPppoAQlHU0HPToH34EP32XFSwQdy8="),
    ],
)
def test_body_hash_keeps_its_padding(body: bytes, expected: str) -> None:
    assert body_hash(body) == expected
