"""A transport of a project."""

from __future__ import annotations

from typing import Any

from django_hookflow.delivery import Delivery
from django_hookflow.transports.base import Transport


def test_a_transport_of_ones_own_needs_one_method(settings: Any) -> None:
    class Pigeon(Transport):
        def send(self, delivery: Delivery) -> None: ...

    assert Pigeon().check() == []
