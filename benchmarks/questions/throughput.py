"""The throughput of one, two and four workers."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.contender import Contender
from benchmarks.figures import Figure
from benchmarks.figures import Rounds
from benchmarks.lab import OURS
from benchmarks.lab import Lab

ORDER = 20
TITLE = "Throughput of runs of 10 steps"
NOTE = (
    "Runs that wait in the queue are worked off by so many processes on one "
    "PostgreSQL; from the first step to the last, so neither filling the "
    "queue nor starting the workers is counted. The ratio is to the commits "
    "per second of one connection, so more is better here. The slowest peers "
    "are given fewer runs."
)
STEPS = 10
PEERS_WITH = 2  # workers
TARGET = 0.6  # with two workers


def ask(lab: Lab) -> Iterator[Figure]:
    rounds = Rounds("steps/s")
    for workers in lab.sizes.workers:
        for _ in range(lab.sizes.rounds):
            limit = 1 / lab.limit()
            for who, contender, runs in contenders(lab, workers):
                found = rate(contender, runs, workers)
                rounds.add(what(runs, workers), who, found, limit)
    for part, who in rounds.found:
        aimed = who == OURS and part == what(lab.sizes.runs, 2)
        yield rounds.figure(
            part,
            who,
            target=f"at least {TARGET} ×" if aimed else "",
            above=TARGET if aimed else None,
        )


def what(runs: int, workers: int) -> str:
    named = "1 worker" if workers == 1 else f"{workers} workers"
    return f"{runs} runs, {named}"


def contenders(lab: Lab, workers: int) -> Iterator[tuple[str, Contender, int]]:
    """Yield each with its number of runs: peers with two workers."""
    yield OURS, lab.ours(), lab.sizes.runs
    if workers == PEERS_WITH:
        for peer in lab.peers():
            yield peer.name, lab.peer(peer), peer.most_runs


def rate(contender: Contender, runs: int, workers: int) -> float:
    """Steps per second."""
    seconds = contender.ask("many", steps=STEPS, runs=runs, workers=workers)
    return runs * STEPS / float(seconds)
