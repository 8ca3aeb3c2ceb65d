"""Sleeps that are longer than QStash can delay a message."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta

import pytest
from pytest_django import Settings

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.transports.qstash import QStashTransport
from qstash_server.clock import DAY
from qstash_server.clock import ManualClock
from qstash_server.conf import Config
from qstash_server.conf import Quotas
from qstash_server.server import Server

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.http
@pytest.mark.parametrize("delay", [timedelta(days=7), timedelta(days=30)])
@pytest.mark.parametrize("behind", [0, 1, 30_000], ids=str)
@pytest.mark.parametrize("past", [0, 1, 999_999], ids=str)
def test_a_hop_is_never_longer_than_a_quota_of_seven_days(
    transactional_db: None,
    settings: Settings,
    delay: timedelta,
    behind: int,  # milliseconds that the server's clock is
    past: int,  # microseconds since the second began
) -> None:
    now = NOON + timedelta(microseconds=past)
    config = Config(
        token=settings.QSTASH_TOKEN,
        current_key="sig_current",
        next_key="sig_next",
        quotas=Quotas(max_delay=7 * DAY),
    )
    settings.DJANGO_HOOKFLOW_DOMAIN = "http://127.0.0.1:9"
    slow = ManualClock(int(now.timestamp() * 1000) - behind)

    with Server(config=config, clock=slow) as server:
        settings.QSTASH_URL = server.url
        transport = QStashTransport()
        with clock.source(lambda: now):
            transport.send(
                Delivery(
                    run_id="r1",
                    workflow_id="sleeper",
                    token="t1",
                    not_before=now + delay,
                )
            )
        transport._client.http._client.close()  # it has no way itself
