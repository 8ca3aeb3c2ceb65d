"""Durable workflows for Django: plain functions that survive crashes.

`workflow` declares one, and `step` how a function behaves as a step of it;
`send_event` speaks to a run that waits; `pause_run`, `resume_run` and
`cancel_run` steer one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

from django_hookflow.retry import RetryPolicy
from django_hookflow.steps.compensation import Compensation
from django_hookflow.steps.decorator import step
from django_hookflow.workflows.context import WorkflowContext
from django_hookflow.workflows.decorator import workflow

if TYPE_CHECKING:
    from django_hookflow.operations.control import cancel_run
    from django_hookflow.operations.control import pause_run
    from django_hookflow.operations.control import resume_run
    from django_hookflow.operations.events import send_event

__all__ = [
    "Compensation",
    "RetryPolicy",
    "WorkflowContext",
    "cancel_run",
    "pause_run",
    "resume_run",
    "send_event",
    "step",
    "workflow",
]

# Operations need the models, and those need the app registry, which is still
# loading when this package is first imported.
OPERATIONS = {
    "cancel_run": "control",
    "pause_run": "control",
    "resume_run": "control",
    "send_event": "events",
}


def __getattr__(name: str) -> Any:
    if name not in OPERATIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"django_hookflow.operations.{OPERATIONS[name]}")
    return getattr(module, name)
