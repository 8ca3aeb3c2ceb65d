"""Messages that the memory transport cannot deliver."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_hookflow import engine
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import LeaseLost
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport


def test_a_site_with_another_transport_has_none_in_memory(
    settings: Any,
) -> None:
    settings.DJANGO_HOOKFLOW_TRANSPORT = (
        "django_hookflow.transports.qstash.QStashTransport"
    )

    with pytest.raises(ImproperlyConfigured, match="keeps no messages"):
        memory_transport()


def test_the_sender_of_a_message_keeps_what_it_cannot_deliver(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_database(delivery: Delivery) -> None:
        raise LeaseLost

    monkeypatch.setattr(engine, "advance", lose_the_database)
    world.transport.send(Delivery(run_id="r", workflow_id="w", token="t"))
    world.pass_time("1d")

    assert [m.retried for m in world.transport.dead] == [3]
    assert world.transport.next_due() is None
