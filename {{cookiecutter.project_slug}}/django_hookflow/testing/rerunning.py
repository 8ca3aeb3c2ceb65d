"""Run a test of pytest again and again, each time with another fault."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from django_hookflow.testing.exploring import BUDGET
from django_hookflow.testing.exploring import Explored
from django_hookflow.testing.exploring import Pass
from django_hookflow.testing.exploring import explore
from django_hookflow.testing.faults import Fault
from django_hookflow.testing.faults import Faults
from django_hookflow.testing.kit import Hookflow

NOT_TRIED = "hookflow_not_tried"
FAULTS = pytest.StashKey[Faults]()
KIT = pytest.StashKey[Hookflow]()

Reports = list[pytest.TestReport]


def rerun(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Do all of a test, and report it once.

    `item`: has the marker `hookflow_faults`.
    """
    hook, place = (
        item.ihook,
        {"nodeid": item.nodeid, "location": item.location},
    )
    hook.pytest_runtest_logstart(**place)
    marker = item.get_closest_marker("hookflow_faults")
    options = {} if marker is None else marker.kwargs
    begun = perf_counter()
    explored = explore(
        partial(_attempt, item),
        budget=options.get("budget", BUDGET),
        seed=item.config.getoption("hookflow_seed"),
    )
    shown = explored.found or explored.clean
    _explain(item, explored)
    reports = [*shown.report, *_tear_down(item, nextitem)]
    for report in reports:
        if report.when == "call":  # of which there were many
            report.duration = perf_counter() - begun
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(**place)


def wanted(config: pytest.Config) -> tuple[Fault, ...]:
    """Return the faults of the command line."""
    try:
        return tuple(map(Fault.parse, config.getoption("hookflow_fault")))
    except ValueError as error:
        raise pytest.UsageError(f"--hookflow-fault: {error}") from None


def _attempt(item: pytest.Item, faults: tuple[Fault, ...]) -> Pass[Reports]:
    item.stash[FAULTS] = planned = Faults(faults)
    item._report_sections.clear()
    # What is above the test stays as it is for the next pass.
    parent: Any = item.parent
    reports = runtestprotocol(item, log=False, nextitem=parent)
    kit = item.stash.get(KIT, None)
    return Pass(
        faults,
        has_passed=all(report.passed for report in reports),
        reached=planned.reached,
        called=Counter() if kit is None else kit.called,
        report=reports,
    )


def _explain(item: pytest.Item, explored: Explored[Reports]) -> None:
    if explored.skipped:
        line = (
            f"{item.nodeid}: {explored.skipped} of {explored.single} faults "
            "were not tried; a larger budget= does."
        )
        explored.clean.report[-1].user_properties.append((NOT_TRIED, line))
    if explored.found is None:
        return
    faults = " ".join(
        f"--hookflow-fault={shlex.quote(str(fault))}"
        for fault in explored.found.faults
    )
    again = f"pytest {shlex.quote(item.nodeid)} {faults}"
    report = next(one for one in explored.found.report if one.failed)
    _add(report, explored.sentence, again)


def _add(report: pytest.TestReport, sentence: str, again: str) -> None:
    """Put the story in front of a failure, and below its traceback."""
    shown: Any = report.longrepr
    crash = getattr(shown, "reprcrash", None)
    if crash is None:
        report.longrepr = f"{sentence} {again}\n{report.longreprtext}"
        return
    crash.message = f"{sentence} {again}"
    shown.addsection("hookflow", f"{sentence}\nTo see it again: {again}", "-")


def _tear_down(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Sequence[pytest.TestReport]:
    """Tear down what the next test does not need; return what went wrong."""
    call = pytest.CallInfo.from_call(
        lambda: item.session._setupstate.teardown_exact(nextitem),
        when="teardown",
    )
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(
        item=item, call=call
    )
    return [] if report.passed else [report]
