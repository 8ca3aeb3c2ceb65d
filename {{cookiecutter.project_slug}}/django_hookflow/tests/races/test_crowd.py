"""Workers that run at the same time keep every promise too."""

from __future__ import annotations

import pytest

from django_hookflow.tests.races.crowd import CrowdedWorld
from django_hookflow.tests.simulation.runner import simulation

HISTORIES = 30


@pytest.mark.slow
def test_every_promise_is_kept_by_workers_that_run_at_once() -> None:
    with simulation(world=CrowdedWorld) as stage:
        for seed in range(HISTORIES):
            report = stage.attempt(seed)
            assert report is None, f"\n{report}"
