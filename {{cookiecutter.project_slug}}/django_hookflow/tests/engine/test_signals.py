"""Receivers of signals that fail."""

from __future__ import annotations

from typing import Any

from django_hookflow import WorkflowContext
from django_hookflow import signals
from django_hookflow import workflow
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport


def test_a_listener_that_fails_does_not_stop_the_next_message(
    every: World,
) -> None:
    heard: list[str] = []

    def broken(run_id: str, **_: Any) -> None:
        heard.append(run_id)
        raise RuntimeError("listener")

    @workflow
    def napping(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", 10)

    signals.run_committed.connect(broken)
    try:
        run_id = napping.trigger()
        every.deliver()
    finally:
        signals.run_committed.disconnect(broken)

    tokens = [message.delivery.token for message in memory_transport().waiting]
    assert run_id in heard
    assert every.run_of(run_id).wake_token in tokens
    assert every.finish(run_id).status == "completed"
