"""Time that is scaled, set back, or lost while a laptop slept."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx
import pytest

from qstash_server.clock import ManualClock
from qstash_server.clock import SystemClock
from qstash_server.conf import Config
from qstash_server.server import Server
from qstash_server.tests.conftest import TOKEN
from qstash_server.tests.helpers import Destination

DAY = 86_400_000


def api(server: Server) -> httpx.Client:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.Client(base_url=server.url, headers=headers)


@dataclass
class World:
    wall: float = 1000.0
    monotonic: float = 5.0

    def clock(self, scale: float = 1.0) -> SystemClock:
        return SystemClock(scale, lambda: self.wall, lambda: self.monotonic)


@pytest.mark.parametrize(
    ("wall", "monotonic", "now"),
    [
        (10, 10, 1_010_000),
        (3600, 10, 4_600_000),  # slept, or set forward
        (-3600, 10, 1_010_000),  # set back
    ],
)
def test_clock_follows_the_wall_but_never_back(
    wall: float, monotonic: float, now: int
) -> None:
    world = World()
    clock = world.clock()

    world.wall += wall
    world.monotonic += monotonic

    assert clock.now() == now


def test_scaled_clock_makes_a_week_last_seconds() -> None:
    world = World()
    clock = world.clock(scale=86400)

    world.wall += 7
    world.monotonic += 7

    assert clock.now() == 1_000_000 + 7 * 86_400_000
    assert clock.seconds_until(clock.now() + 86_400_000) == pytest.approx(1)
    assert clock.seconds_until(0) == 0


def test_clock_that_was_ahead_holds_up_nothing(
    transactional_db: None, config: Config, destination: Destination
) -> None:
    start = int(time.time()) // 60 * 60_000
    flow = {
        "Upstash-Flow-Control-Key": "k",
        "Upstash-Flow-Control-Value": "rate=1,period=1s",
        "Upstash-Deduplication-Id": "once",
    }
    cron = {"Upstash-Cron": "* * * * *"}
    ahead = ManualClock(start + 30 * DAY)
    with Server(config=config, clock=ahead) as server:
        with api(server) as http:
            http.post(f"/v2/schedules/{destination.url}/tick", headers=cron)
            http.post(f"/v2/publish/{destination.url}/first", headers=flow)
        destination.wait_for(1)

    clock = ManualClock(start)
    with Server(config=config, clock=clock) as server, api(server) as http:
        again = http.post(f"/v2/publish/{destination.url}/first", headers=flow)
        destination.wait_for(2)
        clock.advance(60)
        destination.wait_for(3)

    assert again.status_code == 200
    assert [one.target for one in destination.received] == [
        "/first",
        "/first",
        "/tick",
    ]
