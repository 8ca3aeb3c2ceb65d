"""The time of a step in runs of different lengths."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.contender import Contender
from benchmarks.figures import Figure
from benchmarks.figures import Rounds
from benchmarks.lab import AS_OFTEN
from benchmarks.lab import OURS
from benchmarks.lab import POSTGRES
from benchmarks.lab import SQLITE
from benchmarks.lab import Lab

ORDER = 10
TITLE = "Time per step"
NOTE = (
    "Runs one after another, from the trigger to the last commit, divided by "
    "their steps, so the cost of the run is included. Each step returns the "
    "same small dict. One process, or one worker where a peer needs one."
)

WARM = 100  # steps

TARGETS = {
    (POSTGRES, 10): 2.5,
    (POSTGRES, 100): 1.4,
    (POSTGRES, 1_000): 1.4,
    (POSTGRES, 10_000): 1.4,
    (SQLITE, 100): 2.0,
    (SQLITE, 1_000): 2.0,
    (SQLITE, 10_000): 2.0,
}


def ask(lab: Lab) -> Iterator[Figure]:
    rounds = Rounds("µs per step")
    asked: dict[tuple[str, str], float | None] = {}
    for steps, runs in lab.sizes.runs_of.items():
        for _ in range(lab.sizes.rounds):
            for vendor in (POSTGRES, SQLITE):
                limit = lab.limit(vendor)
                what = f"{steps:,} steps, {vendor}"
                for who, contender in contenders(lab, vendor, steps):
                    times = runs * AS_OFTEN[vendor]
                    found = measure(contender, steps, times)
                    rounds.add(what, who, found * 1e6, limit * 1e6)
                    aim = TARGETS.get((vendor, steps)) if who == OURS else None
                    asked[what, who] = aim
    for (what, who), target in asked.items():
        yield rounds.figure(
            what,
            who,
            target=f"at most {target} ×" if target else "",
            below=target,
        )


def contenders(
    lab: Lab, vendor: str, steps: int
) -> Iterator[tuple[str, Contender]]:
    """Ours, then every peer that takes runs of this length."""
    yield OURS, lab.ours(vendor)
    if vendor == POSTGRES and steps <= lab.sizes.peers_up_to:
        for peer in lab.peers():
            if steps <= peer.most_steps:
                yield peer.name, lab.peer(peer)


def measure(contender: Contender, steps: int, runs: int) -> float:
    """Return the seconds of one step, by a process that is warm."""
    contender.ask("steps", steps=min(steps, WARM), runs=1)
    seconds = contender.ask("steps", steps=steps, runs=runs)
    return float(seconds) / (steps * runs)
