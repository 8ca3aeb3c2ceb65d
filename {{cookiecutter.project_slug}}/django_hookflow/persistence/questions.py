"""Questions to people: asked, answered and closed with their runs.

Lock order: a run, then its questions.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Case
from django.db.models import QuerySet
from django.db.models import Value
from django.db.models import When

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import QuestionNotFound
from django_hookflow.journal import ANSWER
from django_hookflow.journal import Entry
from django_hookflow.models import Event
from django_hookflow.models import Question
from django_hookflow.models import WorkflowRun
from django_hookflow.outcomes import Ask
from django_hookflow.persistence import database
from django_hookflow.persistence import events
from django_hookflow.persistence import runs
from django_hookflow.states import QuestionStatus


def rows() -> QuerySet[Question]:
    return Question.objects.using(database.using())


def ask(run: WorkflowRun, asks: Iterable[Ask]) -> list[Question]:
    """Write the questions with which a run begins to wait."""
    return [_ask(run, asked) for asked in asks]


def _ask(run: WorkflowRun, asked: Ask) -> Question:
    plan = [(at.isoformat(), group) for at, group in asked.plan]
    values: dict[str, Any] = {
        "status": QuestionStatus.OPEN,
        "title": asked.title,
        "description": asked.description,
        "form": asked.form,
        "to_user": asked.to_user,
        "to_group": asked.to_group,
        "asked_at": clock.now(),
        "due_at": asked.due_at,
        "plan": plan,
        "remind_at": asked.plan[0][0] if plan else None,
    }
    # A deploy may have removed it, and another brought it back.
    question, _ = rows().update_or_create(
        run=run, step_id=asked.step_id, defaults=values
    )
    return question


def close(run: WorkflowRun, waits: Iterable[Entry]) -> None:
    """Close the open questions at which a run does not wait any more."""
    step_ids = [
        entry.step_id for entry in waits if entry.event_name.startswith(ANSWER)
    ]
    if step_ids:
        _close(rows().filter(run=run, step_id__in=step_ids))


def close_all(ended: Collection[WorkflowRun]) -> None:
    _close(rows().filter(run__in=ended))


def _close(found: QuerySet[Question]) -> None:
    is_late = When(due_at__lte=clock.now(), then=Value(QuestionStatus.EXPIRED))
    found.filter(status=QuestionStatus.OPEN).update(
        status=Case(is_late, default=Value(QuestionStatus.CLOSED)),
        remind_at=None,
    )


def get(key: int) -> Question:
    """Return a question with its run; QuestionNotFound if there is none."""
    found = rows().select_related("run").filter(pk=key).first()
    if found is None:
        raise QuestionNotFound(key)
    return found


def hold(key: int) -> Question:
    """Return a question that no one else changes until the COMMIT."""
    run = get(key).run
    events.take_turn_at(run)
    list(runs.rows().filter(pk=run.pk).select_for_update(no_key=True))
    list(rows().filter(pk=key).select_for_update())
    return get(key)


def answer(question: Question, event: Event) -> list[Delivery]:
    """Keep the answer of a question that is held, and wake its run."""
    question.status = QuestionStatus.ANSWERED
    question.remind_at = None
    question.save(using=database.using())
    event.run = question.run
    event.save(using=database.using())
    return events.wake(question.run, event.name)


def assign(question: Question, user: str, group: str) -> None:
    """Give a question that is held to others."""
    question.to_user, question.to_group = user, group
    question.save(using=database.using())


def due(limit: int) -> list[tuple[Question, bool]]:
    """Return the open questions to remind people of, and which escalated."""
    now = clock.now()
    with database.atomic():
        found = (
            rows()
            .filter(status=QuestionStatus.OPEN, remind_at__lte=now)
            .select_for_update(skip_locked=True, of=("self",))
            .select_related("run")
            .order_by("remind_at", "pk")[:limit]
        )
        return [(question, _move_on(question, now)) for question in found]


def _move_on(question: Question, now: datetime) -> bool:
    """Take what is due from the plan; True if it goes to another group."""
    plan = [(datetime.fromisoformat(at), to) for at, to in question.plan]
    groups = [to for at, to in plan if at <= now and to]
    ahead = [(at, to) for at, to in plan if at > now]
    if groups:
        question.to_user, question.to_group = "", groups[-1]
    question.plan = [(at.isoformat(), to) for at, to in ahead]
    question.remind_at = ahead[0][0] if ahead else None
    question.save(using=database.using())
    return bool(groups)
