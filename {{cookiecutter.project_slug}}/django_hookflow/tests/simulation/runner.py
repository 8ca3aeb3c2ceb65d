"""Histories by seed, and the shortest form of one that breaks a promise."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection
from django.test import override_settings

from django_hookflow.tests.simulation.choices import Choices
from django_hookflow.tests.simulation.crew import Worker
from django_hookflow.tests.simulation.laws import Witness
from django_hookflow.tests.simulation.laws import judge
from django_hookflow.tests.simulation.programs import LEASE
from django_hookflow.tests.simulation.provider import Provider
from django_hookflow.tests.simulation.provider import provider
from django_hookflow.tests.simulation.world import LEDGER
from django_hookflow.tests.simulation.world import Fault
from django_hookflow.tests.simulation.world import Violation
from django_hookflow.tests.simulation.world import World
from django_hookflow.tests.simulation.world import clear

WORKERS = 3
TRANSPORT = "django_hookflow.tests.simulation.network.SimulatedTransport"
BUDGETS = (20, 0, 3 * LEASE)  # the last outlives its lease
CRASHES = (10_000, 10_000, 3, 2)
SHRINKING = 400  # histories at most, to shorten one


@dataclass(frozen=True)
class Report:
    """A history that broke a promise."""

    seed: int
    violation: str
    script: tuple[int, ...]
    trace: tuple[str, ...]
    programs: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            *(f"program {n}: {text}" for n, text in enumerate(self.programs)),
            *self.trace,
            f"VIOLATION: {self.violation}",
            f"Again: python scripts/simulate.py --only {self.seed}",
        ]
        return "\n".join(lines)


class Simulation:
    """Plays histories in a database."""

    def __init__(
        self,
        crew: list[Worker],
        fault: Fault | None = None,
        world: type[World] = World,
    ) -> None:
        self.crew = crew
        self.fault = fault
        self.world = world

    def play(self, seed: int) -> Report | None:
        """Return the fault in the history of a seed, in its shortest form."""
        report = self.attempt(seed)
        return report and self._shorten(report)

    def attempt(
        self, seed: int, script: Sequence[int] | None = None
    ) -> Report | None:
        return self._play(seed, Choices(seed, script))

    def choices_of(self, seed: int) -> list[int]:
        """Every choice of a history, which defines it."""
        choices = Choices(seed)
        self._play(seed, choices)
        return choices.made

    def _play(self, seed: int, choices: Choices) -> Report | None:
        with override_settings(
            DJANGO_HOOKFLOW_DELIVERY_BUDGET=choices.pick(BUDGETS),
            DJANGO_HOOKFLOW_MAX_CRASHES=choices.pick(CRASHES),
        ):
            world = self.world(choices, self.crew, self.fault)
            try:
                world.play(Witness(world.is_exact).look)
                judge(world)
            except Violation as violation:
                return _report(seed, world, str(violation))
            finally:
                clear()
                Provider.asked.clear()
        return None

    def _shorten(self, report: Report) -> Report:
        """Cut pieces out of the script as long as a promise still breaks."""
        budget = SHRINKING
        size = len(report.script) // 2
        while size:
            start = 0
            while start < len(report.script) and budget:
                budget -= 1
                script = report.script
                shorter = script[:start] + script[start + size :]
                again = self.attempt(report.seed, shorter)
                if again is not None and len(again.script) < len(script):
                    report = again
                else:
                    start += size
            size //= 2
        return report


@contextmanager
def simulation(
    fault: Fault | None = None, world: type[World] = World
) -> Iterator[Simulation]:
    """Make a simulation in a migrated database, which it leaves empty."""
    crew = [Worker(f"worker {letter}") for letter in "ABC"[:WORKERS]]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {LEDGER} (root_id TEXT, step_id TEXT)")
    try:
        with (
            provider(),
            override_settings(
                DJANGO_HOOKFLOW_TRANSPORT=TRANSPORT,
                DJANGO_HOOKFLOW_LEASE=LEASE,
                DJANGO_HOOKFLOW_SWEEP_AFTER=600,
            ),
        ):
            yield Simulation(crew, fault, world)
    finally:
        for worker in crew:
            worker.dismiss()
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {LEDGER}")


def _report(seed: int, world: World, violation: str) -> Report:
    return Report(
        seed=seed,
        violation=violation,
        script=tuple(world.choices.made),
        trace=tuple(world.trace),
        programs=tuple(map(str, world.programs)),
    )
