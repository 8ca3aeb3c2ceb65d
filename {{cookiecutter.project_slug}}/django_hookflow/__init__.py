"""Durable workflows for Django: plain functions that survive crashes.

`workflow` declares one, and `step` how a function behaves as a step of it;
`send_event` speaks to a run that waits, and `cancel_run` stops one;
`answer_question` answers what a run asks people.
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
    from django_hookflow.operations.control import cancel_run
    from django_hookflow.operations.events import send_event
    from django_hookflow.operations.questions import answer_question
    from django_hookflow.operations.questions import open_questions
    from django_hookflow.operations.questions import reassign_question

__all__ = [
    "Answer",
    "Compensation",
    "RetryPolicy",
    "WorkflowContext",
    "answer_question",
    "cancel_run",
    "open_questions",
    "reassign_question",
    "send_event",
    "step",
    "workflow",
]

# Operations need the models, and those need the app registry, which is still
# loading when this package is first imported.
OPERATIONS = {
    "answer_question": "questions",
    "cancel_run": "control",
    "open_questions": "questions",
    "reassign_question": "questions",
    "send_event": "events",
}


def __getattr__(name: str) -> Any:
    if name not in OPERATIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"django_hookflow.operations.{OPERATIONS[name]}")
    return getattr(module, name)
