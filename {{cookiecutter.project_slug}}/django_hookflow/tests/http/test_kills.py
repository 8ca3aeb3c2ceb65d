"""SIGKILL in the middle of real runs, and their end after a restart."""

from __future__ import annotations

from collections import Counter

import pytest

from django_hookflow.tests.http.brake.workflows import STEPS
from django_hookflow.tests.http.stack import Stack

pytestmark = [pytest.mark.http, pytest.mark.slow]

# The statements at which the site is killed.
OF_THE_LEDGER = (
    "INSERT INTO ledger",  # in a step, atomic or not
    "INSERT INTO django_hookflow_stepexecution",
)


def test_no_committed_step_runs_again_after_a_kill(stack: Stack) -> None:
    runs = ["run-1", "run-2", "run-3"]
    stack.trigger_ledgers(runs)

    for statement in OF_THE_LEDGER:
        for victims in (("site",), ("site", "qstash")):
            stack.brake_at(statement)
            stack.start_missing()
            stack.wait_until_it_stands(stack.sweep)
            for victim in victims:
                stack.kill(victim)
            stack.release()
    stack.start_missing()

    stack.wait_for(lambda: all_completed(stack, runs), stack.sweep)
    assert_that_no_step_ran_after_its_record(stack, runs)


def all_completed(stack: Stack, runs: list[str]) -> bool:
    found = stack.rows(
        "SELECT run_id, status FROM django_hookflow_workflowrun"
    )
    return dict(found) == dict.fromkeys(runs, "completed")


def assert_that_no_step_ran_after_its_record(
    stack: Stack, runs: list[str]
) -> None:
    written = stack.rows(
        "SELECT l.run_id, l.step_id, l.at, e.executed_at "
        "FROM ledger l "
        "JOIN django_hookflow_workflowrun r ON r.run_id = l.run_id "
        "JOIN django_hookflow_stepexecution e "
        "ON e.workflow_run_id = r.id AND e.step_id = l.step_id"
    )
    times = Counter((run, step) for run, step, _, _ in written)
    late = [row for row in written if moment(row[2]) > moment(row[3])]

    assert late == []
    assert times.keys() == {
        (run, f"step-{number}") for run in runs for number in range(STEPS)
    }
    atomic = {
        key: count
        for key, count in times.items()
        if int(key[1].rpartition("-")[2]) % 2 == 0
    }
    assert set(atomic.values()) == {1}, atomic
    # Every execution but the last had a worker that died, or lost its lease.
    attempts = {
        (run, step): count
        for run, step, count in stack.rows(
            "SELECT r.run_id, e.step_id, e.attempts "
            "FROM django_hookflow_stepexecution e "
            "JOIN django_hookflow_workflowrun r ON e.workflow_run_id = r.id"
        )
    }
    unexplained = {k: n for k, n in times.items() if n > attempts[k]}
    assert unexplained == {}


def moment(value: object) -> str:
    """Return a time in one form for both databases, to compare."""
    return str(value).replace("T", " ")[:26]
