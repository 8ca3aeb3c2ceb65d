"""The cost of a long journal: replaying it, and holding it."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.figures import Figure
from benchmarks.lab import OURS
from benchmarks.lab import POSTGRES
from benchmarks.lab import SQLITE
from benchmarks.lab import Lab

ORDER = 60
TITLE = "Replay and memory"
NOTE = (
    "A run with a long journal is woken too early, so its delivery reads and "
    "replays every step and suspends again; less the same delivery of a run "
    "without steps. Memory is the most the process has had, after a run of "
    "few steps and after one of many."
)
MOST = 10.0  # microseconds per recorded step


def ask(lab: Lab) -> Iterator[Figure]:
    many = lab.sizes.replayed
    for vendor in (POSTGRES, SQLITE):
        for steps in (many // 10, many):
            yield Figure(
                what=f"replay of {steps:,} steps, {vendor}",
                who=OURS,
                unit="µs per recorded step",
                values=per_step(lab, vendor, steps),
                target=f"under {MOST:.0f} µs",
                below=MOST,
            )
    lab.stop_contenders()
    few = lab.ours().ask("memory", steps=10)
    most = lab.ours().ask("memory", steps=lab.sizes.memory)
    yield Figure(
        what="process after a run of 10 steps",
        who=OURS,
        unit="MB",
        values=(few / 1024,),
    )
    yield Figure(
        what=f"more of it after a run of {lab.sizes.memory:,} steps",
        who=OURS,
        unit="MB",
        values=((most - few) / 1024,),
    )


def per_step(lab: Lab, vendor: str, steps: int) -> tuple[float, ...]:
    times = max(lab.sizes.rounds, 3)
    ours = lab.ours(vendor)
    nothing = median(ours.ask("replay", steps=0, times=times))
    taken = ours.ask("replay", steps=steps, times=times)
    return tuple((seconds - nothing) / steps * 1e6 for seconds in taken)
