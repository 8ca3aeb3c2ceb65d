"""Durable workflows for Django: plain functions that survive crashes.

`workflow` declares one, and `step` how a function behaves as a step of it;
`send_event` speaks to a run that waits, and `answer_question` answers what a
run asks people; `pause_run`, `resume_run`, `cancel_run`, `retry_run`,
`fork_run`, `hide_run` and `waive_undo` steer one, and so does a
`WorkflowExecutor`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

from django_hookflow.answers import Answer
from django_hookflow.retry import RetryPolicy
from django_hookflow.steps.compensation import Compensation
from django_hookflow.steps.decorator import step
from django_hookflow.workflows.context import WorkflowContext
from django_hookflow.workflows.decorator import workflow

if TYPE_CHECKING:
    from django_hookflow.executor import WorkflowExecutor
    from django_hookflow.executor import WorkflowHandle
    from django_hookflow.operations.control import cancel_run
    from django_hookflow.operations.control import pause_run
    from django_hookflow.operations.control import resume_run
    from django_hookflow.operations.events import send_event
    from django_hookflow.operations.hiding import hide_run
    from django_hookflow.operations.letters import fork_run
    from django_hookflow.operations.letters import retry_run
    from django_hookflow.operations.letters import waive_undo
    from django_hookflow.operations.questions import answer_question
    from django_hookflow.operations.questions import open_questions
    from django_hookflow.operations.questions import reassign_question

__all__ = [
    "Answer",
    "Compensation",
    "RetryPolicy",
    "WorkflowContext",
    "WorkflowExecutor",
    "WorkflowHandle",
    "answer_question",
    "cancel_run",
    "fork_run",
    "hide_run",
    "open_questions",
    "pause_run",
    "reassign_question",
    "resume_run",
    "retry_run",
    "send_event",
    "step",
    "waive_undo",
    "workflow",
]

# Operations need the models, and those need the app registry, which is still
# loading when this package is first imported.
OPERATIONS = {
    "WorkflowExecutor": "executor",
    "WorkflowHandle": "executor",
    "answer_question": "operations.questions",
    "cancel_run": "operations.control",
    "fork_run": "operations.letters",
    "hide_run": "operations.hiding",
    "open_questions": "operations.questions",
    "pause_run": "operations.control",
    "reassign_question": "operations.questions",
    "resume_run": "operations.control",
    "retry_run": "operations.letters",
    "send_event": "operations.events",
    "waive_undo": "operations.letters",
}


def __getattr__(name: str) -> Any:
    if name not in OPERATIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"django_hookflow.{OPERATIONS[name]}")
    return getattr(module, name)
