"""Workflows that wait, fail and kill as a test wants it.

RELEASE in the environment says which release of the code this process is.
"""

from __future__ import annotations

import os
import signal

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.tests.http.brake.workflows import write

RELEASE = int(os.environ.get("RELEASE", "1"))


@workflow
def errand(ctx: WorkflowContext) -> list[str]:
    """Three steps without a wait: one message is all it takes."""
    for step_id in ("fetch", "carry", "bring"):
        ctx.step.run(step_id, write, ctx.run_id, step_id)
    return ["fetch", "carry", "bring"]


@workflow
def parcel(ctx: WorkflowContext) -> int:
    """Waits for the word between its steps; release 2 insures it."""
    ctx.step.run("pack", write, ctx.run_id, "pack")
    ctx.step.wait_for_event("word", "parcel.go", timeout="1h")
    if RELEASE >= 2:
        ctx.step.run("insure", write, ctx.run_id, "insure")
    ctx.step.run("send", write, ctx.run_id, "send")
    return RELEASE


@workflow(retry=RetryPolicy(retries=0))
def bill(ctx: WorkflowContext) -> str:
    """Fail in release 1, after a completed step."""
    ctx.step.run("number", write, ctx.run_id, "number")
    ctx.step.run("print", print_bill)
    return "printed"


def print_bill() -> None:
    if RELEASE < 2:
        raise PermanentError("The printer is not configured.")


@workflow
def poison(ctx: WorkflowContext) -> str:
    """Kill its worker, as an image too large for memory would."""
    ctx.step.run("open", write, ctx.run_id, "open")
    ctx.step.run("swallow", die)
    return "survived"


def die() -> None:
    if RELEASE < 2:
        os.kill(os.getpid(), signal.SIGKILL)


@workflow
def transfer(ctx: WorkflowContext) -> str:
    """Leaves its idempotency key where no backup reaches."""
    ctx.step.run("ask", write, ctx.run_id, "ask")
    ctx.step.call(
        "pay", os.environ["BANK_URL"], method="POST", body={"run": ctx.run_id}
    )
    ctx.step.run("book", write, ctx.run_id, "book")
    return "booked"
