"""After a crash: how long until every lost run has moved."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import Figure
from benchmarks.lab import OURS
from benchmarks.lab import Lab

ORDER = 70
TITLE = "Recovery"
NOTE = (
    "Runs whose workers died an hour ago, all overdue at once. One process "
    "sweeps them, 1,000 at a time, and advances each to its end: one step, "
    "so a claim, an entry and a verdict are committed for each. Sweeping "
    "alone is what it takes until all their messages are sent."
)


def ask(lab: Lab) -> Iterator[Figure]:
    runs = lab.sizes.overdue
    limit = lab.limit()
    found = lab.ours().ask("recovery", runs=runs)
    for what, seconds in (
        ("swept", found["sweep"]),
        ("swept and ended", found["sweep"] + found["move"]),
    ):
        yield Figure(
            what=f"{runs:,} runs {what}",
            who=OURS,
            unit="ms per run",
            values=(seconds / runs * 1e3,),
            limits=(limit * 1e3,),
        )
        yield Figure(
            what=f"{runs:,} runs {what}, all of them",
            who=OURS,
            unit="s",
            values=(seconds,),
        )
