"""Costs that do not depend on the machine: statements, messages, bytes."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import Figure
from benchmarks.lab import OURS
from benchmarks.lab import Lab

ORDER = 50
TITLE = "Statements, messages, bytes"
NOTE = (
    "Counted, so the same on every machine; the project's tests pin them. "
    "BEGIN and COMMIT count as statements. The bytes are those of all "
    "message bodies of a run."
)
MOST_STATEMENTS = 6
LARGEST_MESSAGE = 1_000


def ask(lab: Lab) -> Iterator[Figure]:
    empty = lab.ours().ask("costs", steps=0)
    ten = lab.ours().ask("costs", steps=10)
    thousand = lab.ours().ask("costs", steps=1_000)
    yield counted("trigger", "statements", empty["trigger"])
    yield counted(
        "delivery without steps",
        "statements",
        empty["statements"],
        target=f"at most {MOST_STATEMENTS}",
        below=MOST_STATEMENTS,
    )
    per_step = (ten["statements"] - empty["statements"]) / 10
    yield counted("each step", "statements", per_step)
    yield counted(
        "run of 1,000 steps without a wait",
        "messages",
        thousand["messages"],
        target="1 + waits",
        below=1,
    )
    yield counted(
        "run of 1,000 steps without a wait",
        "bytes sent",
        thousand["bytes"],
        target="under 1 kB a message",
        below=LARGEST_MESSAGE,
    )
    for peer in lab.peers():
        if peer.module.endswith("hookflow004"):
            for steps in (10, 100):
                found = lab.peer(peer).ask("costs", steps=steps)
                for unit in ("messages", "bytes"):
                    yield Figure(
                        what=f"run of {steps} steps",
                        who=peer.name,
                        unit=unit if unit == "messages" else "bytes sent",
                        values=(found[unit],),
                    )


def counted(what: str, unit: str, value: float, **target: object) -> Figure:
    return Figure(what=what, who=OURS, unit=unit, values=(value,), **target)  # type: ignore[arg-type]
