"""The same throughput with everything that production has."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import Figure
from benchmarks.figures import Rounds
from benchmarks.lab import OURS
from benchmarks.lab import Lab
from benchmarks.questions.throughput import STEPS

ORDER = 30
TITLE = "Throughput over HTTP"
NOTE = (
    "Runs of 10 steps through gunicorn (4 threads a worker) and the embedded "
    "QStash server, which keeps its messages in the same PostgreSQL; four "
    "threads trigger them, as requests would. From the first trigger to the "
    "last step, so publishing, signing, HTTP and the server's own commits "
    "are all counted."
)


def ask(lab: Lab) -> Iterator[Figure]:
    rounds = Rounds("steps/s")
    runs = lab.sizes.runs
    for workers in lab.sizes.workers:
        what = f"{runs} runs, gunicorn with {workers}"
        with lab.site(workers) as (site, marks):
            for _ in range(lab.sizes.rounds):
                limit = 1 / lab.limit()
                seconds = site.ask(
                    "many_over_http", steps=STEPS, runs=runs, path=marks
                )
                rounds.add(what, OURS, runs * STEPS / seconds, limit)
        yield rounds.figure(what, OURS)
