"""The time of `make demo`, from nothing and again."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

from benchmarks.contender import ROOT
from benchmarks.figures import Figure
from benchmarks.lab import Lab

ORDER = 90
TITLE = "Baking and the demo"
NOTE = (
    "`make demo` bakes a project, installs it, migrates, places an order over "
    "HTTP and waits until it is fulfilled. Packages come from uv's cache when "
    "they have been downloaded before."
)


def ask(lab: Lab) -> Iterator[Figure]:
    if not lab.sizes.peers:  # quick: nothing is installed
        lab.skip("Skipped in quick mode, since it installs packages.")
        return
    lab.say("make demo")
    began = time.perf_counter()
    done = subprocess.run(
        ["make", "demo"],
        cwd=ROOT,
        env=os.environ | {"KEEP": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        lab.skip(f"`make demo` failed: {done.stderr.strip()[-300:]}")
        return
    yield Figure(
        what="make demo",
        who="the template",
        unit="s",
        values=(time.perf_counter() - began,),
    )
