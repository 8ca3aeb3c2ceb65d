"""The workflows that are measured; found as those of any installed app."""

from __future__ import annotations

from typing import Any

from django_hookflow import WorkflowContext
from django_hookflow import workflow

from benchmarks.contenders.wire import mark
from benchmarks.contenders.wire import work


@workflow
def bench_steps(ctx: WorkflowContext) -> Any:
    """So many steps, each returning the same small dict."""
    steps = ctx.data["steps"]
    for n in range(steps):
        ctx.step.run(f"step-{n}", work, n, steps)
    return {"steps": steps}


@workflow
def bench_nap(ctx: WorkflowContext) -> None:
    """So many steps, then a sleep that does not end while it is measured."""
    steps = ctx.data["steps"]
    for n in range(steps):
        ctx.step.run(f"step-{n}", work, n, steps)
    ctx.step.sleep("nap", "30d")


@workflow
def bench_event(ctx: WorkflowContext) -> None:
    """Wait for an event, and mark when the step after it runs."""
    ctx.step.wait_for_event("wait", "bench", timeout="1h")
    ctx.step.run("woken", woken, ctx.data["marks"])


def woken(path: str) -> None:
    mark(path, b"e")
