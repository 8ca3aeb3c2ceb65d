"""Which actions a run allows now, decided once for answers and refusals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field

from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Question
from django_hookflow.models import WorkflowRun
from django_hookflow.states import CANCELLABLE
from django_hookflow.states import PAUSABLE
from django_hookflow.states import QuestionStatus
from django_hookflow.states import Request
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus


@dataclass(frozen=True)
class Possible:
    """The actions that a run allows, and what it waits for."""

    actions: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)  # names
    questions: list[Question] = field(default_factory=list)


def possible(run: WorkflowRun) -> Possible:
    """Return what can be done to a run now."""
    found = Possible()
    if not run.is_finished:
        open_ones = run.questions.filter(status=QuestionStatus.OPEN)
        found.questions.extend(open_ones.order_by("pk"))
        found.events.extend(_events(run, found.questions))
    allowed = {
        "cancel": _can_cancel(run),
        "pause": run.status in PAUSABLE and not run.requested,
        "resume": run.requested == Request.PAUSE and not run.is_finished,
        "send_event": not run.is_finished,
        "answer": bool(found.questions),
        "retry": _can_retry(run),
        "fork": run.parent_id is None,
    }
    found.actions.extend(name for name, may in allowed.items() if may)
    return found


def _events(run: WorkflowRun, questions: Iterable[Question]) -> list[str]:
    """Return the events for which a run waits, and which go to it alone."""
    answers = {question.event_name for question in questions}
    waits = run.step_executions.filter(
        status=StepStatus.WAITING, event_match=""
    ).exclude(event_name="")
    names = waits.order_by("position").values_list("event_name", flat=True)
    return [name for name in names if name not in answers]


def _can_cancel(run: WorkflowRun) -> bool:
    return run.status in CANCELLABLE and run.requested != Request.CANCEL


def _can_retry(run: WorkflowRun) -> bool:
    if run.status != RunStatus.FAILED or run.parent_id is not None:
        return False
    letters = DeadLetterEntry.objects.filter(workflow_run=run)
    return letters.filter(is_replayed=False).exists()
