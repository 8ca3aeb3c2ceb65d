"""The pages of questions to people, and of dead letters."""

from __future__ import annotations

import pkgutil
from typing import Any

from django.forms import BaseForm
from django.http import HttpResponseBase
from django.urls import reverse
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from django_hookflow.answers import ANSWER_ANY
from django_hookflow.contrib.api import access
from django_hookflow.contrib.api import serializers as shapes
from django_hookflow.contrib.api.access import RESUME_PERMISSION
from django_hookflow.contrib.api.access import RESUME_THROTTLE
from django_hookflow.contrib.api.errors import Conflict
from django_hookflow.contrib.api.filters import LetterFilters
from django_hookflow.contrib.api.filters import Query
from django_hookflow.contrib.api.inboxes import DeadLetterViewSet
from django_hookflow.contrib.api.inboxes import QuestionViewSet
from django_hookflow.contrib.api.inboxes import with_runs
from django_hookflow.contrib.api.pagination import page
from django_hookflow.contrib.dashboard.pages import Done
from django_hookflow.contrib.dashboard.pages import PageViewSet
from django_hookflow.contrib.dashboard.pages import asked
from django_hookflow.contrib.dashboard.pages import json_of
from django_hookflow.contrib.dashboard.pages import older
from django_hookflow.contrib.dashboard.runs import where
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Question
from django_hookflow.states import QuestionStatus


class QuestionPages(PageViewSet, QuestionViewSet):
    """The questions that wait for the user."""

    tab = "questions"

    def index(self, request: Request) -> HttpResponseBase:
        """The open questions to the user, and to their groups."""
        found = page(request, self.mine(), asked(request, Query))
        context = {
            "rows": [(one, self.sees(one)) for one in found.rows],
            "older": older(request, found.next_cursor),
        }
        return self.show("questions", context)

    def question_page(self, request: Request, pk: int) -> HttpResponseBase:
        """A question, with the form that answers it."""
        question = self.get_asked(pk)
        form = form_of(question)
        return self.asking(question, form() if form else None)

    def answer_page(self, request: Request, pk: int) -> HttpResponseBase:
        """Answer a question; the first answer wins."""
        question = self.get_asked(pk)
        of_run = (question.run.workflow_id, question.run.version)
        self.throttle(RESUME_THROTTLE, *of_run)
        form = form_of(question)

        def answer() -> Done:
            data: Any = self.posted
            if form is None:
                data = json_of(self.posted.get("answer", ""), "answer")
            self.answered(pk, data)
            sees = self.sees(question)
            return (
                f"Your answer to “{question.title}” is recorded.",
                where(question.run.run_id) if sees else inbox(),
            )

        def again(status: int, problems: list[str]) -> HttpResponseBase:
            bound = form(self.posted) if form else None
            # A form says itself what is wrong, beside the field.
            known = bound is not None and not bound.is_valid()
            said = ["Nothing was answered. See below."] if known else problems
            return self.asking(question, bound, status, said)

        return self.acted(answer, again)

    def asking(
        self,
        question: Question,
        form: BaseForm | None,
        status: int = 200,
        problems: list[str] | None = None,
    ) -> HttpResponseBase:
        context = {
            "question": question,
            "form": form,
            "sees_run": self.sees(question),
            "problems": problems or [],
            "posted": self.posted if problems else {},
        }
        return self.show("question", context, status)

    def get_asked(self, pk: int) -> Question:
        """Return an open question that the user may answer."""
        question = self.mine().filter(pk=pk).first() or self.of_others(pk)
        if question is None:
            raise NotFound(f"No open question to you has the id {pk}.")
        return question

    def of_others(self, pk: int) -> Question | None:
        """Return a question to another, for who may answer any."""
        if not access.has_permission(self.request, ANSWER_ANY):
            return None
        found = Question.objects.filter(
            pk=pk,
            status=QuestionStatus.OPEN,
            run__in=access.visible(self.request),
        )
        question = with_runs(found).first()
        if question is None or not self.gate.lets_near(
            RESUME_PERMISSION, question.run
        ):
            return None
        return question


class LetterPages(PageViewSet, DeadLetterViewSet):
    """Runs that have failed, and wait to be replayed."""

    tab = "letters"

    def index(self, request: Request) -> HttpResponseBase:
        """The newest runs that have failed."""
        return self.listed(asked(request, LetterFilters))

    def listed(
        self,
        wanted: dict[str, Any],
        status: int = 200,
        problems: list[str] | None = None,
    ) -> HttpResponseBase:
        self.refuse_without_workflows()
        found = self.chosen(wanted)
        context = {
            "rows": [(one, self.may_replay(one)) for one in found.rows],
            # After a refusal this is not the address of the list.
            "older": None
            if problems
            else older(self.request, found.next_cursor),
            "is_open_only": wanted.get("is_replayed") is False,
            "problems": problems or [],
        }
        return self.show("dead_letters", context, status)

    def may_replay(self, letter: DeadLetterEntry) -> bool:
        run = letter.workflow_run
        is_part = run is not None and run.parent_id is not None
        return (
            not letter.is_replayed and not is_part and self.may_steer(letter)
        )

    def replay_page(self, request: Request, pk: int) -> HttpResponseBase:
        """Begin a failed run again, and go to the new one."""
        letter = self.get_letter_to_replay(pk)

        def replay() -> Done:
            given = {"reason": self.posted.get("reason", "")}
            reason = self.body(shapes.ReasonSerializer, given)["reason"]
            begun = self.replayed(letter, reason)
            return f"Run {letter.run_id} goes on as this one.", where(begun)

        def again(status: int, problems: list[str]) -> HttpResponseBase:
            wanted = {"limit": 50, "offset": 0}
            return self.listed(wanted, status, problems)

        return self.acted(replay, again)


def inbox() -> str:
    return reverse("hookflow_dashboard:questions")


def form_of(question: Question) -> type[BaseForm] | None:
    """Return the form of Django that a question has; None for other kinds.

    Raises Conflict when the code of it is not deployed.
    """
    if not question.form:
        return None
    try:
        found = pkgutil.resolve_name(question.form)
    except (ImportError, AttributeError, ValueError) as error:
        raise Conflict(
            f"The form {question.form!r} of this question cannot be imported. "
            "Deploy code that has it, or cancel the run that asks."
        ) from error
    is_form = isinstance(found, type) and issubclass(found, BaseForm)
    return found if is_form else None
