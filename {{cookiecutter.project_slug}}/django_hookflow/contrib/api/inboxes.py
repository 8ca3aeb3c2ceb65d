"""The views over what waits for people: questions and dead letters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db.models import Exists
from django.db.models import OuterRef
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from django_hookflow import open_questions
from django_hookflow import retry_run
from django_hookflow.contrib.api import access
from django_hookflow.contrib.api import serializers as shapes
from django_hookflow.contrib.api.access import CRUD_PERMISSION
from django_hookflow.contrib.api.access import CRUD_THROTTLE
from django_hookflow.contrib.api.access import RESUME_PERMISSION
from django_hookflow.contrib.api.access import RESUME_THROTTLE
from django_hookflow.contrib.api.base import LARGE
from django_hookflow.contrib.api.base import ApiViewSet
from django_hookflow.contrib.api.errors import refusals
from django_hookflow.contrib.api.filters import LetterFilters
from django_hookflow.contrib.api.filters import Query
from django_hookflow.contrib.api.filters import parsed
from django_hookflow.contrib.api.pagination import Page
from django_hookflow.contrib.api.pagination import page
from django_hookflow.contrib.api.schema import page_of
from django_hookflow.models import AuditEntry
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Question
from django_hookflow.reading import HIDE

OF_RUN = [f"run__{column}" for column in LARGE]
OF_LETTER = [f"workflow_run__{column}" for column in LARGE]


class QuestionViewSet(ApiViewSet):
    """The questions that wait for the user, of all runs."""

    def mine(self) -> QuerySet[Question]:
        """Return the open questions that the user may answer."""
        workflows = self.gate.workflows(RESUME_PERMISSION, "run__")
        if workflows is None:
            self.permission_denied(self.request)
        if self.request.user.pk is None:
            return Question.objects.none()
        return with_runs(open_questions(self.request.user)).filter(workflows)

    def told(self) -> dict[str, Any]:
        return self.context() | {"sees": self.sees}

    def sees(self, question: Question) -> bool:
        """Return True if the user may know of the run that asks."""
        is_near = access.is_staff(self.request) or access.is_own(
            self.request, question.run.owner
        )
        return is_near and not vars(question)["is_of_hidden_run"]

    @extend_schema(
        parameters=[Query],
        responses=page_of(shapes.QuestionSerializer),
        operation_id="list_questions",
    )
    def list(self, request: Request) -> Response:
        """The open questions to you, and to your groups, newest first."""
        found = page(request, self.mine(), parsed(request, Query))
        return self.paged(found, shapes.QuestionSerializer, self.told())

    @extend_schema(
        responses=shapes.QuestionSerializer, operation_id="retrieve_question"
    )
    def retrieve(self, request: Request, pk: int) -> Response:
        """An open question to you."""
        question = self.get_question(pk)
        return Response(
            shapes.QuestionSerializer(question, context=self.told()).data
        )

    @extend_schema(
        request=shapes.AnswerSerializer,
        responses={
            200: shapes.AnsweredSerializer,
            400: OpenApiResponse(description="The form refuses it."),
        },
        operation_id="answer_question",
    )
    def answer(self, request: Request, pk: int) -> Response:
        """Answer a question; the first answer wins."""
        question = self.get_question(pk)
        where = (question.run.workflow_id, question.run.version)
        self.throttle(RESUME_THROTTLE, *where)
        body = self.body(shapes.AnswerSerializer)
        return Response(self.answered(pk, body["answer"]))

    def get_question(self, pk: int) -> Question:
        question = self.mine().filter(pk=pk).first()
        if question is None:
            raise NotFound(f"No open question to you has the id {pk}.")
        return question


def with_runs(found: QuerySet[Question]) -> QuerySet[Question]:
    """Return questions with their runs, and whether these are hidden."""
    entries = AuditEntry.objects.filter(run=OuterRef("run"), action=HIDE)
    known = found.annotate(is_of_hidden_run=Exists(entries))
    return known.select_related("run").defer(*OF_RUN)


class DeadLetterViewSet(ApiViewSet):
    """Runs that have failed, and wait to be replayed."""

    def letters(self) -> QuerySet[DeadLetterEntry]:
        """Return those of the user's runs; of all, for staff."""
        found = DeadLetterEntry.objects.select_related("workflow_run")
        found = found.defer(*OF_LETTER).exclude(
            workflow_run__audit_entries__action=HIDE
        )
        if access.is_staff(self.request):
            return found
        owner = access.owner_of(self.request)
        return found.filter(workflow_run__owner=owner)

    @extend_schema(
        parameters=[LetterFilters],
        responses=page_of(shapes.DeadLetterSerializer),
        operation_id="list_dead_letters",
    )
    def list(self, request: Request) -> Response:
        """The newest runs that have failed."""
        self.refuse_without_workflows()
        found = self.chosen(parsed(request, LetterFilters))
        return self.paged(found, shapes.DeadLetterSerializer)

    @extend_schema(
        responses=shapes.DeadLetterDetailSerializer,
        operation_id="retrieve_dead_letter",
    )
    def retrieve(self, request: Request, pk: int) -> Response:
        """A dead letter with the data of its run."""
        letter = self.get_letter(pk)
        return Response(
            shapes.DeadLetterDetailSerializer(
                letter, context=self.context()
            ).data
        )

    @extend_schema(
        request=shapes.ReasonSerializer,
        responses={
            201: shapes.StartedSerializer,
            409: OpenApiResponse(description="It was replayed before."),
        },
        operation_id="replay_dead_letter",
    )
    def replay(self, request: Request, pk: int) -> Response:
        """Begin the run again behind its completed steps."""
        letter = self.get_letter_to_replay(pk)
        body = self.body(shapes.ReasonSerializer)
        begun = self.replayed(letter, body["reason"])
        return Response({"run_id": begun}, status=status.HTTP_201_CREATED)

    def refuse_without_workflows(self) -> None:
        if self.gate.workflows() is None:
            self.permission_denied(self.request)

    def chosen(self, wanted: dict[str, Any]) -> Page[DeadLetterEntry]:
        """Return the page of letters that the parameters want."""
        conditions: dict[str, Any] = {
            column: wanted[name]
            for name, column in LetterFilters.COLUMNS.items()
            if name in wanted
        }
        found = page(self.request, self.letters().filter(**conditions), wanted)
        return replace(found, rows=[*filter(self.lets_near, found.rows)])

    def may_steer(self, letter: DeadLetterEntry) -> bool:
        run = letter.workflow_run
        return access.may_steer(self.request, run.owner if run else "")

    def get_letter_to_replay(self, pk: int) -> DeadLetterEntry:
        """Return a letter whose run the user may change."""
        letter = self.get_letter(pk)
        if not self.may_steer(letter):
            raise PermissionDenied(
                "This run is not yours. To replay it, you need the "
                f"permission {access.STEER}."
            )
        return letter

    def replayed(self, letter: DeadLetterEntry, reason: str) -> str:
        """Begin the run of a letter again; return the id of the new one."""
        run = letter.workflow_run
        version = run.version if run else None
        self.throttle(CRUD_THROTTLE, letter.workflow_id, version)
        with refusals():
            return retry_run(letter.run_id, by=self.by, reason=reason)

    def get_letter(self, pk: int) -> DeadLetterEntry:
        letter = self.letters().filter(pk=pk).first()
        if letter is None:
            raise NotFound(f"No dead letter of yours has the id {pk}.")
        if not self.lets_near(letter):
            self.permission_denied(self.request)
        return letter

    def lets_near(self, letter: DeadLetterEntry) -> bool:
        run = letter.workflow_run
        if run is None:
            return self.gate.lets_in(CRUD_PERMISSION, letter.workflow_id, None)
        return self.gate.lets_near(CRUD_PERMISSION, run)
