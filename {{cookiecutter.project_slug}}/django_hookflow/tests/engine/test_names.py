"""Names that people have, and names that break logs and databases."""

from __future__ import annotations

from typing import Any

import pytest

from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.testing.world import World

GOOD = [
    "می‌فر",  # Persian, with its zero-width non-joiner
    "山田　太郎",  # Japanese, with its wide space
    "\N{MAN}\N{ZERO WIDTH JOINER}\N{COOKING} Kitchen",
    "soft\N{SOFT HYPHEN}hyphen",
    "\U0001fadc",  # younger than the tables of Python 3.11
    " ",
]
BAD = ["", "a\nb", "\x00", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"]


@pytest.mark.parametrize("name", GOOD, ids=ascii)
def test_everything_may_be_called_as_a_customer_is(
    every: World, name: str
) -> None:
    @workflow(workflow_id=name)
    def greet(ctx: WorkflowContext) -> Any:
        ctx.step.run(f"mail-{name}", int)
        return ctx.step.wait_for_event(name, name, match=name)

    run_id = greet.trigger(run_id=name)
    every.deliver()
    send_event(name, 1, match=name, event_id=name)
    run = every.finish(run_id)

    assert (run.run_id, run.status, run.result) == (name, "completed", 1)


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_what_breaks_lines_or_databases_is_no_name(
    every: World, name: str
) -> None:
    @workflow
    def step(ctx: WorkflowContext) -> None:
        ctx.step.run(name, int)

    @workflow
    def event(ctx: WorkflowContext) -> None:
        ctx.step.wait_for_event("w", name)

    runs = [every.finish(declared.trigger()) for declared in (step, event)]

    assert [run.status for run in runs] == ["failed", "failed"]
    with pytest.raises(ValueError, match="workflow"):
        workflow(workflow_id=name)(lambda ctx: None)
    for arguments in ({"run_id": name}, {"run_id": f"{name}\n"}):
        with pytest.raises(ValueError, match="Invalid run_id"):
            step.trigger(**arguments)
    with pytest.raises(ValueError, match="Invalid name"):
        send_event(name, match="x")
