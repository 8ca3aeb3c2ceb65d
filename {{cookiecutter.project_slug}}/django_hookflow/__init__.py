"""Durable workflows for Django: plain functions that survive crashes.

`workflow` declares one, `step` how a function behaves as a step of it;
`send_event` speaks to a run that waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from django_hookflow.retry import RetryPolicy
from django_hookflow.steps.decorator import step
from django_hookflow.workflows.context import WorkflowContext
from django_hookflow.workflows.decorator import workflow

if TYPE_CHECKING:
    from django_hookflow.operations.events import send_event

__all__ = [
    "RetryPolicy",
    "WorkflowContext",
    "send_event",
    "step",
    "workflow",
]


def __getattr__(name: str) -> Any:
    # Operations need the models, and those need the app registry, which is
    # still loading when this package is first imported.
    if name == "send_event":
        from django_hookflow.operations.events import send_event

        return send_event
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
