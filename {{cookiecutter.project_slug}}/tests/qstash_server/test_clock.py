"""Time that is scaled, set back, or lost while a laptop slept."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from django_hookflow.contrib.qstash_server.clock import SystemClock


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
