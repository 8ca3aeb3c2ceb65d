"""Runs whose workflow is not in the code of the process."""

from __future__ import annotations

import json
from typing import Any

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.operations.maintenance import sweep
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.memory import post
from django_hookflow.workflows import registry
from django_hookflow.workflows.decorator import WorkflowWrapper


def gone() -> WorkflowWrapper:
    @workflow
    def gone(ctx: WorkflowContext) -> int:
        return ctx.step.run("count", lambda: 3)

    return gone


def test_a_run_waits_for_a_process_that_has_its_code(
    world: World, caplog: Any
) -> None:
    declared = gone()
    run_id = declared.trigger()
    registry.unregister("gone")

    response = post(memory_transport().waiting[0].delivery)

    run = world.run_of(run_id)
    assert response.status_code == 200
    assert json.loads(response.getvalue())["status"] == "parked"
    assert (run.status, run.lease_token, run.lease_until) == (
        "waiting",
        "",
        None,
    )
    assert "No workflow is registered as 'gone'" in run.error_message
    assert [r.levelname for r in caplog.records if "waits" in r.message] == [
        "ERROR"
    ]
    memory_transport().reset()
    registry.register(declared)
    world.advance("2m")
    sweep()
    ended = world.finish(run_id)
    assert (ended.result, ended.error_message) == (3, "")


def test_a_run_whose_code_is_gone_says_so_and_asks_ever_less_often(
    every: World, caplog: Any
) -> None:
    run_id = gone().trigger()
    registry.unregister("gone")
    every.deliver()
    for _ in range(24 * 60):  # cron, for a day
        every.advance("1m")
        sweep()
        every.deliver()

    run = every.run_of(run_id)
    assert "No workflow is registered as 'gone'" in run.error_message
    assert run.messages < 40
    levels = [r.levelname for r in caplog.records if "waits" in r.message]
    assert levels[0] == "ERROR"
    assert set(levels[1:]) == {"WARNING"}
