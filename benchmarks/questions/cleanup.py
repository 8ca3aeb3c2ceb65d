"""The time to delete old rows."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import Figure
from benchmarks.lab import OURS
from benchmarks.lab import Lab

ORDER = 80
TITLE = "Cleanup"
NOTE = (
    "What `cleanup_workflows` deletes: runs that ended 90 days ago, each with "
    "one step. It deletes in batches, each a transaction of its own, so the "
    "time of a batch is the longest that a lock is held. OLD_RUNS=10000 sets "
    "another size."
)


def ask(lab: Lab) -> Iterator[Figure]:
    runs = lab.sizes.old_runs
    found = lab.ours().ask("cleanup", runs=runs, steps=1)
    yield Figure(
        what=f"{runs:,} runs", who=OURS, unit="s", values=(found["seconds"],)
    )
    yield Figure(
        what="a thousand of them",
        who=OURS,
        unit="ms",
        values=(found["seconds"] / runs * 1e6,),
    )
    yield Figure(
        what="the batch that took longest",
        who=OURS,
        unit="ms",
        values=(found["longest"] * 1e3,),
    )
