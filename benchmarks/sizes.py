"""The sizes of a measurement; `QUICK=1` only tests the harness."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sizes:
    rounds: int
    runs_of: dict[int, int]  # steps of a run → how many runs in a round
    peers_up_to: int  # steps of a run that peers are asked for
    limit: int  # commits of the raw limit in a round
    runs: int  # of the throughput, 10 steps each
    workers: tuple[int, ...]
    wakes: int
    replayed: int
    memory: int
    overdue: int
    old_runs: int
    peers: bool


FULL = Sizes(
    rounds=3,
    runs_of={10: 100, 100: 10, 1_000: 2, 10_000: 1},
    peers_up_to=1_000,
    limit=2_000,
    runs=500,
    workers=(1, 2, 4),
    wakes=50,
    replayed=10_000,
    memory=10_000,
    overdue=10_000,
    old_runs=int(os.environ.get("OLD_RUNS", "1000000")),
    peers=True,
)

QUICK = Sizes(
    rounds=1,
    runs_of={10: 2, 100: 1},
    peers_up_to=0,
    limit=50,
    runs=6,
    workers=(2,),
    wakes=3,
    replayed=100,
    memory=100,
    overdue=20,
    old_runs=1_000,
    peers=False,
)
