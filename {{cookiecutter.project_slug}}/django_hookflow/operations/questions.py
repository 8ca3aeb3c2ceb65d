"""Questions of runs to people: the inbox, answers, and other assignees."""

from __future__ import annotations

import json
import uuid
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models import QuerySet

from django_hookflow import clock
from django_hookflow import signals
from django_hookflow.answers import ANSWER_ANY
from django_hookflow.answers import Answer
from django_hookflow.answers import validated
from django_hookflow.exceptions import AnswerNotAllowed
from django_hookflow.exceptions import QuestionClosed
from django_hookflow.models import Event
from django_hookflow.models import Question
from django_hookflow.names import checked_name
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.database import using
from django_hookflow.sending import announce
from django_hookflow.sending import send_after_commit
from django_hookflow.serialization import dumps
from django_hookflow.states import QuestionStatus

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


def open_questions(user: AbstractBaseUser) -> QuerySet[Question]:
    """Return what waits for an answer of this user, the oldest first.

    Their own questions, and those of their groups.
    """
    mine = Q(to_user=str(user.pk)) | Q(to_group__in=_groups(user))
    return Question.objects.filter(mine, status=QuestionStatus.OPEN)


def answer_question(
    question_id: int, data: Any, *, by: AbstractBaseUser, via: str = ""
) -> Answer:
    """Answer a question, which wakes its run; the first answer wins.

    `data`: what its form, serializer or type takes. `via`: where it came
    from, for people. A part of the caller's transaction. Raises
    QuestionNotFound, QuestionClosed, AnswerNotAllowed, and InvalidAnswer with
    the errors by field, after which the question is still open.
    """
    asked = WorkflowPersistence.question(question_id)
    _refuse(asked, by)
    value = validated(asked.form, data)
    answer = Answer(value, str(by.pk), clock.now())
    event = _event(asked, answer)
    with transaction.atomic(using()):
        asked = WorkflowPersistence.hold_question(question_id)
        _refuse(asked, by)
        asked.answer = event.data
        asked.answered_by = answer.answered_by
        asked.answered_at = answer.answered_at
        asked.via = via and checked_name("via", via)
        messages = WorkflowPersistence.answer_question(asked, event)
        send_after_commit(messages)
    return answer


def reassign_question(
    question_id: int, *, to: object = None, group: object = None,
    by: AbstractBaseUser,
) -> None:  # fmt: skip
    """Give an open question to another user or group, and tell them.

    `to`: a saved user or its key; `group`: a group or its name. Raises what
    answer_question does of its state and of `by`, and ValueError for an
    invalid name.
    """
    user = "" if to is None else str(getattr(to, "pk", to))
    name = "" if group is None else str(getattr(group, "name", group))
    checked_name("user or group", user or name)
    with transaction.atomic(using()):
        asked = WorkflowPersistence.hold_question(question_id)
        _refuse(asked, by)
        WorkflowPersistence.assign_question(asked, user, name)
        tell = partial(
            announce, signals.question_asked, asked.run, question=asked
        )
        transaction.on_commit(tell, using())


def remind(limit: int) -> int:
    """Tell people again about open questions that are due; return how many."""
    found = WorkflowPersistence.due_questions(limit)
    for question, escalated in found:
        announce(
            signals.question_due,
            question.run,
            question=question,
            escalated=escalated,
        )
    return len(found)


def _event(question: Question, answer: Answer) -> Event:
    where = f"The answer to question {question.pk}"
    return Event(
        name=question.event_name,
        data=json.loads(dumps(answer, where)),
        event_id=uuid.uuid4().hex,
        created_at=answer.answered_at,
    )


def _refuse(question: Question, by: AbstractBaseUser) -> None:
    if question.status != QuestionStatus.OPEN:
        raise QuestionClosed(
            question.pk,
            question.status,
            question.answered_by,
            question.answered_at,
        )
    if not _may_answer(question, by):
        raise AnswerNotAllowed(question.pk, str(by))


def _may_answer(question: Question, by: AbstractBaseUser) -> bool:
    if not by.is_active or by.pk is None:
        return False
    if question.to_user == str(by.pk) or question.to_group in _groups(by):
        return True
    has_perm = getattr(by, "has_perm", None)
    return has_perm is not None and has_perm(ANSWER_ANY)


def _groups(user: AbstractBaseUser) -> list[str]:
    """Return the names of the groups of a user, whose model may have none."""
    groups = getattr(user, "groups", None)
    if user.pk is None or groups is None:
        return []
    return list(groups.values_list("name", flat=True))
