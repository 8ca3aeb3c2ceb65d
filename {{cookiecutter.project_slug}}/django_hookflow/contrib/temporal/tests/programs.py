"""The workflows of the tests, and their effects: lines of a file."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow.workflows.registry import get_workflow

FOLDER = "HOOKFLOW_TEMPORAL_TESTS"
SOON = RetryPolicy(retries=3, delay=0.05, factor=1)


def order(ctx: WorkflowContext) -> dict[str, Any]:
    """Use each way to wait."""
    step = ctx.step
    step.run("reserve", effect, "reserve")
    step.sleep("rest", 0.2)
    paid = step.wait_for_event("payment", "paid", timeout="1m")
    step.options(retry=SOON).run("charge", succeed_at_last, "charge")
    parcel = step.invoke("ship", get_workflow("ship"), {"to": ctx.data["to"]})
    mails = step.map("mails", effect, ["one", "two", "three"], max_parallel=2)
    return {"paid": paid, "parcel": parcel, "mails": mails}


def ship(ctx: WorkflowContext) -> str:
    ctx.step.sleep("pack", 0.1)
    ctx.step.run("ship", effect, "ship")
    return f"to {ctx.data['to']}"


def fail(ctx: WorkflowContext) -> None:
    raise ValueError("of no use")


def travel(ctx: WorkflowContext) -> str:
    """Wait for an event in each of two countries."""
    for country in ("first", "second"):
        ctx.step.run(f"enter-{country}", effect, f"enter {country}")
        ctx.step.wait_for_event(f"leave-{country}", "leave", timeout="30d")
    ctx.step.run("arrive", effect, "arrive")
    return "arrived"


def undone(ctx: WorkflowContext) -> None:
    """Wait so long that it has to be cancelled."""
    ctx.step.options(compensate=give_back).run("take", effect, "take")
    ctx.step.sleep("wait", "30d")


def give_back(taken: str) -> None:
    effect(f"give back {taken}")


def steady(ctx: WorkflowContext) -> int:
    """Run steps with pauses between them, so that a kill meets some."""
    for number in range(6):
        ctx.step.run(f"step-{number}", slow_effect, f"step-{number}")
        if number in (1, 3):
            ctx.step.sleep(f"pause-{number}", 0.05)
    return 6


def effect(name: str) -> str:
    with ledger().open("a", encoding="utf-8") as file:
        file.write(f"{name}\n")
    return name


def slow_effect(name: str) -> None:
    effect(name)
    time.sleep(0.05)
    while (folder() / "hold").exists():
        time.sleep(0.02)


def succeed_at_last(name: str) -> None:
    effect(name)
    if effects().count(name) < 3:
        raise ConnectionError("not yet")


def effects() -> list[str]:
    """Return the effects until now, in their order."""
    path = ledger()
    return path.read_text("utf-8").splitlines() if path.exists() else []


def ledger() -> Path:
    return folder() / "ledger"


def folder() -> Path:
    return Path(os.environ[FOLDER])
