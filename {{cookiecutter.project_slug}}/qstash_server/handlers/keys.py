"""/v2/keys: the keys that sign deliveries."""

from __future__ import annotations

from ..accounts import KeyPair
from ..replies import Reply
from ..replies import answer
from ..service import Call


def get(call: Call) -> Reply:
    return _view(call.service.keys.pair(call.account))


def rotate(call: Call) -> Reply:
    return _view(call.service.keys.rotate(call.account))


def _view(pair: KeyPair) -> Reply:
    return answer({"current": pair.current, "next": pair.next})
