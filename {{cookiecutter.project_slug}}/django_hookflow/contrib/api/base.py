"""Shared by all views of the API: who asks, for which run, how often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any
from typing import cast

from django.db.models import QuerySet
from rest_framework import viewsets
from rest_framework.exceptions import NotFound
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from django_hookflow import answer_question
from django_hookflow.contrib.api import access
from django_hookflow.contrib.api.access import CRUD_PERMISSION
from django_hookflow.contrib.api.access import Gate
from django_hookflow.contrib.api.actions import possible
from django_hookflow.contrib.api.errors import BoundedJSONParser
from django_hookflow.contrib.api.errors import refusals
from django_hookflow.contrib.api.pagination import Page
from django_hookflow.contrib.api.pagination import next_link
from django_hookflow.contrib.api.serializers import RunDetailSerializer
from django_hookflow.models import WorkflowRun

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

STEPS_SHOWN = 500  # with a run

# Columns that may be large, and that a list does not show.
LARGE = ("data", "result", "trace")


class ApiViewSet(viewsets.ViewSet):
    """Each route asks the classes of the workflow that it is about."""

    parser_classes = (BoundedJSONParser,)
    permission_classes = ()
    throttle_classes = ()
    via = "API"  # where answers come from, for people

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.gate = Gate(request, self)

    @property
    def by(self) -> Any:
        """The user, for the audit; None without one."""
        return self.request.user if self.request.user.pk else None

    @property
    def user(self) -> AbstractBaseUser:
        """The user who answers; the engine refuses one without an account."""
        return cast("AbstractBaseUser", self.request.user)

    def body(self, kind: type[Any], given: Any = None) -> dict[str, Any]:
        """Return the checked body of the request."""
        taken = kind(data=self.request.data if given is None else given)
        taken.is_valid(raise_exception=True)
        return dict(taken.validated_data)

    def runs(self) -> QuerySet[WorkflowRun]:
        """Return the runs that the user may list."""
        workflows = self.gate.workflows()
        if workflows is None:
            self.permission_denied(self.request)
        return access.visible(self.request).filter(workflows)

    def get_run(
        self,
        run_id: str,
        key: str = CRUD_PERMISSION,
        *,
        and_hidden: bool = False,
    ) -> WorkflowRun:
        """Return a run that the user may see; NotFound hides all others."""
        found = access.visible(self.request, and_hidden=and_hidden)
        found = found.select_related("parent", "origin").defer(
            *(f"{one}__{column}" for one in RELATED for column in LARGE)
        )
        run = found.filter(run_id=run_id).first()
        if run is None:
            raise self.missing(run_id)
        if not self.gate.lets_near(key, run):
            self.permission_denied(self.request)
        return run

    def get_run_to_steer(
        self,
        run_id: str,
        key: str = CRUD_PERMISSION,
        *,
        and_hidden: bool = False,
    ) -> WorkflowRun:
        """Return a run that the user may change."""
        run = self.get_run(run_id, key, and_hidden=and_hidden)
        if not access.may_steer(self.request, run.owner):
            raise PermissionDenied(
                "This run is not yours. To change it, you need the "
                f"permission {access.STEER}."
            )
        return run

    def missing(self, run_id: str) -> NotFound:
        return NotFound(f"No run of yours has the id {run_id!r}.")

    def throttle(
        self, key: str, workflow_id: str, version: int | None
    ) -> None:
        """Count this request; raises Throttled if it is one too many."""
        counted = access.class_for(key, workflow_id, version)()
        if not counted.allow_request(self.request, self):
            self.throttled(self.request, counted.wait() or 0)

    def paged(
        self, found: Page[Any], kind: type[Any], context: Any = None
    ) -> Response:
        """Return the answer of a list: its rows, and where the next are."""
        context = self.context() if context is None else context
        return Response(
            {
                "next": next_link(self.request, found.next_cursor),
                "next_cursor": found.next_cursor,
                "results": kind(found.rows, many=True, context=context).data,
            }
        )

    def answered(self, question: int, data: Any) -> dict[str, Any]:
        """Answer the question of a key, and return who did that and when."""
        with refusals("answer"):
            taken = answer_question(question, data, by=self.user, via=self.via)
        return {
            "question": question,
            "answered_by": taken.answered_by,
            "answered_at": taken.answered_at,
        }

    def context(self, run: WorkflowRun | None = None) -> dict[str, Any]:
        """Return what serializers have to know."""
        return {
            "request": self.request,
            "owner": run.owner if run else "",
            # A run that may be seen, its questions say.
            "sees": lambda question: True,
        }

    def with_steps(self, run: WorkflowRun) -> dict[str, Any]:
        """Return the context of a run with its first steps."""
        steps = list(
            run.step_executions.order_by("position")[: STEPS_SHOWN + 1]
        )
        return self.context(run) | {
            "steps": steps[:STEPS_SHOWN],
            "has_more_steps": len(steps) > STEPS_SHOWN,
        }

    def described(self, run: WorkflowRun) -> Mapping[str, Any]:
        """Return a run with its steps, and what can be done to it."""
        context = self.with_steps(run) | {"possible": possible(run)}
        answer: Mapping[str, Any] = RunDetailSerializer(
            run, context=context
        ).data
        return answer


RELATED = ("parent", "origin")
