"""The views over runs, and over the workflows that can be started."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from django_hookflow import cancel_run
from django_hookflow import fork_run
from django_hookflow import hide_run
from django_hookflow import pause_run
from django_hookflow import resume_run
from django_hookflow import retry_run
from django_hookflow import send_event
from django_hookflow.contrib.api import access
from django_hookflow.contrib.api import serializers as shapes
from django_hookflow.contrib.api.access import CRUD_PERMISSION
from django_hookflow.contrib.api.access import CRUD_THROTTLE
from django_hookflow.contrib.api.access import RESUME_PERMISSION
from django_hookflow.contrib.api.access import RESUME_THROTTLE
from django_hookflow.contrib.api.actions import Possible
from django_hookflow.contrib.api.actions import possible
from django_hookflow.contrib.api.base import LARGE
from django_hookflow.contrib.api.base import ApiViewSet
from django_hookflow.contrib.api.errors import WHOLE
from django_hookflow.contrib.api.errors import Conflict
from django_hookflow.contrib.api.errors import refusals
from django_hookflow.contrib.api.filters import Query
from django_hookflow.contrib.api.filters import RunFilters
from django_hookflow.contrib.api.filters import RunListFilters
from django_hookflow.contrib.api.filters import StepQuery
from django_hookflow.contrib.api.filters import chosen
from django_hookflow.contrib.api.filters import parsed
from django_hookflow.contrib.api.pagination import BOUND
from django_hookflow.contrib.api.pagination import bounded_count
from django_hookflow.contrib.api.pagination import page
from django_hookflow.contrib.api.schema import page_of
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.inspection.runs import explain
from django_hookflow.models import Question
from django_hookflow.models import WorkflowRun
from django_hookflow.states import Request as RunRequest
from django_hookflow.states import RunStatus
from django_hookflow.workflows.registry import get_all_workflows
from django_hookflow.workflows.registry import get_workflow
from django_hookflow.workflows.registry import get_workflow_infos
from django_hookflow.workflows.wrapper import WorkflowInfo
from django_hookflow.workflows.wrapper import WorkflowWrapper

NEWEST = 20  # runs among which the most recent one is looked for

# Makes ids of runs and events of the keys that clients choose.
KEYS = uuid.UUID("5d3c3a0e-8f5b-4f6e-9d0a-3b0f6f1f5c11")

# Names of the data of a run in other systems.
STATES = ("state", "input", "data")

REFUSED = OpenApiResponse(description="What is wrong, by field.")
NOT_NOW = OpenApiResponse(description="The run does not allow it now.")


class StartingViewSet(ApiViewSet):
    """Starts runs, and knows which workflows the user may start."""

    def infos(self) -> list[WorkflowInfo]:
        """Return the facts of each version that the user may use."""
        found = [
            info
            for info in get_workflow_infos()
            if self.gate.lets_in(CRUD_PERMISSION, info.name, info.version)
        ]
        if not found and not self.gate.lets_in(
            CRUD_PERMISSION, access.EVERY, None
        ):
            self.permission_denied(self.request)
        return found

    def start(
        self,
        workflow_id: str,
        version: int | None,
        data: Any,
        *,
        key: str,
        field: str,
    ) -> WorkflowRun:
        """Start a run. `field`: the one of the body that `data` is from."""
        with refusals("flow_type"):
            workflow = get_workflow(workflow_id, version)
        where = (workflow.workflow_id, workflow.version)
        if not self.gate.lets_in(CRUD_PERMISSION, *where):
            self.permission_denied(self.request)
        self.throttle(CRUD_THROTTLE, *where)
        refuse_other_data(workflow, data, field)
        owner = access.owner_of(self.request)
        made = key and f"{owner}\n{workflow.workflow_id}\n{key}"
        with refusals(field):
            run_id = workflow.trigger(
                data,
                run_id=uuid.uuid5(KEYS, made).hex if made else None,
                owner=owner,
            )
        run = access.visible(self.request).filter(run_id=run_id).first()
        if run is None:
            raise Conflict(
                "The run of this idempotency_key was deleted. Use another key."
            )
        return run

    def key(self, body: Mapping[str, Any]) -> str:
        """Return the idempotency key, from the body or the header."""
        header = self.request.headers.get("Idempotency-Key", "")
        return str(body.get("idempotency_key", header[: shapes.MOST_KEY]))


class FlowTypeViewSet(StartingViewSet):
    """The workflows that can be started."""

    @extend_schema(
        responses=shapes.FlowTypeSerializer(many=True), operation_id="types"
    )
    def list(self, request: Request) -> Response:
        """Workflows, each with its versions and the schema of its data."""
        infos = self.infos()
        latest = {
            name: workflow.version
            for name, workflow in get_all_workflows().items()
        }
        context = self.context() | {"latest": latest}
        return Response(
            shapes.FlowTypeSerializer(infos, many=True, context=context).data
        )


class FlowViewSet(StartingViewSet):
    """Runs: list, start, look at and steer them."""

    @extend_schema(
        parameters=[RunListFilters],
        responses={200: page_of(shapes.PayloadRunSerializer), 400: REFUSED},
        operation_id="list_flows",
    )
    def list(self, request: Request) -> Response:
        """The newest runs, without those that other runs have started."""
        wanted = parsed(request, RunListFilters)
        runs = chosen(request, self.runs(), wanted)
        kind: type[shapes.RunSerializer] = shapes.PayloadRunSerializer
        if not wanted["is_detailed"]:
            kind, runs = shapes.RunSerializer, runs.defer(*LARGE)
        found = page(request, runs, wanted)
        near = replace(found, rows=self.gate.near(found.rows))
        return self.paged(near, kind)

    @extend_schema(
        request=shapes.NewRunSerializer,
        responses={201: shapes.PayloadRunSerializer, 400: REFUSED},
        operation_id="create_flow",
    )
    def create(self, request: Request) -> Response:
        """Start a run."""
        field, given = renamed(request.data)
        body = self.body(shapes.NewRunSerializer, given)
        run = self.start(
            body["flow_type"],
            body.get("version"),
            body.get("state"),
            key=self.key(body),
            field=field,
        )
        return self.begun(run)

    @extend_schema(
        responses=shapes.RunDetailSerializer, operation_id="retrieve_flow"
    )
    def retrieve(self, request: Request, run_id: str) -> Response:
        """A run with its steps, and what can be done to it."""
        return Response(self.described(self.get_run(run_id)))

    @extend_schema(responses={204: None}, operation_id="delete_flow")
    def destroy(self, request: Request, run_id: str) -> Response:
        """Cancel the run if it is open, and hide it; the same again is fine.

        Its row stays for the admin until the cleanup.
        """
        run = self.get_run_to_steer(run_id, and_hidden=True)
        with refusals():
            hide_run(run.run_id, by=self.by)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        request=shapes.ReasonSerializer,
        responses={200: shapes.RunDetailSerializer, 400: NOT_NOW},
        operation_id="cancel_flow",
    )
    def cancel(self, request: Request, run_id: str) -> Response:
        """Stop the run, and undo its steps that have a compensation."""
        return self.steer(run_id, cancel_run)

    @extend_schema(
        request=shapes.ReasonSerializer,
        responses={200: shapes.RunDetailSerializer, 400: NOT_NOW},
        operation_id="pause_flow",
    )
    def pause(self, request: Request, run_id: str) -> Response:
        """Let the run rest until it is resumed."""
        return self.steer(run_id, pause_run)

    @extend_schema(
        request=shapes.ResumeSerializer,
        responses={200: shapes.RunDetailSerializer, 400: NOT_NOW},
        operation_id="resume_flow",
    )
    def resume(self, request: Request, run_id: str) -> Response:
        """Answer its question, send the event it waits for, or end its pause.

        The body decides which; what does not fit is refused with what would.
        """
        run = self.get_run_to_resume(run_id)
        body = self.body(shapes.ResumeSerializer)
        found = possible(run)
        if "answer" in body:
            self.answer(run, found, body.get("question"), body["answer"])
        elif "event" in body:
            self.send(run, body["event"], body.get("data"), body)
        elif "state" in body:
            self.go_on_with(run, found, body["state"])
        elif run.requested == RunRequest.PAUSE and not run.is_finished:
            with refusals():
                resume_run(run.run_id, by=self.by, reason=body["reason"])
        else:
            raise not_resumed(run, found)
        return Response(
            self.described(self.get_run(run_id, RESUME_PERMISSION))
        )

    @extend_schema(
        request=shapes.ReasonSerializer,
        responses={201: shapes.PayloadRunSerializer, 400: NOT_NOW},
        operation_id="retry_flow",
    )
    def retry(self, request: Request, run_id: str) -> Response:
        """Begin the failed run again behind its completed steps."""
        run = self.get_run_to_steer(run_id)
        body = self.body(shapes.ReasonSerializer)
        self.throttle(CRUD_THROTTLE, run.workflow_id, run.version)
        with refusals():
            begun = retry_run(run_id, by=self.by, reason=body["reason"])
        return self.begun(WorkflowRun.objects.get(run_id=begun))

    @extend_schema(
        request=shapes.ForkSerializer,
        responses={201: shapes.PayloadRunSerializer, 400: REFUSED},
        operation_id="fork_flow",
    )
    def fork(self, request: Request, run_id: str) -> Response:
        """Begin another run at a step of this one."""
        run = self.get_run_to_steer(run_id)
        field, given = renamed(request.data)
        body = self.body(shapes.ForkSerializer, given)
        data = body.get("state")
        self.throttle(CRUD_THROTTLE, run.workflow_id, run.version)
        with refusals("flow_type"):
            workflow = get_workflow(run.workflow_id, run.version)
        refuse_other_data(workflow, data, field)
        with refusals("step_id" if data is None else field):
            begun = fork_run(
                run_id,
                body["step_id"],
                data,
                by=self.by,
                reason=body["reason"],
            )
        return self.begun(WorkflowRun.objects.get(run_id=begun))

    @extend_schema(
        request=shapes.NewEventSerializer,
        responses={202: shapes.SentEventSerializer, 400: NOT_NOW},
        operation_id="send_event_to_flow",
    )
    def events(self, request: Request, run_id: str) -> Response:
        """Send an event to the run, which takes it now or later."""
        run = self.get_run_to_resume(run_id)
        body = self.body(shapes.NewEventSerializer)
        is_new = self.send(run, body["name"], body.get("data"), body, "name")
        answer = {"name": body["name"], "is_new": is_new}
        return Response(
            shapes.SentEventSerializer(answer).data,
            status=status.HTTP_202_ACCEPTED,
        )

    @extend_schema(
        parameters=[StepQuery],
        responses=page_of(shapes.StepSerializer, "next_after"),
        operation_id="list_steps_of_flow",
    )
    def steps(self, request: Request, run_id: str) -> Response:
        """The steps of the run in order."""
        run = self.get_run(run_id)
        wanted = parsed(request, StepQuery)
        rows = run.step_executions.filter(position__gt=wanted["after"])
        found = list(rows.order_by("position")[: wanted["limit"] + 1])
        shown = found[: wanted["limit"]]
        more = len(found) > len(shown)
        context = self.context(run)
        return Response(
            {
                "next_after": shown[-1].position if more else None,
                "results": shapes.StepSerializer(
                    shown, many=True, context=context
                ).data,
            }
        )

    @extend_schema(
        responses=shapes.QuestionSerializer(many=True),
        operation_id="list_questions_of_flow",
    )
    def questions(self, request: Request, run_id: str) -> Response:
        """The open questions of the run."""
        run = self.get_run(run_id)
        return Response(
            shapes.QuestionSerializer(
                possible(run).questions, many=True, context=self.context(run)
            ).data
        )

    @extend_schema(
        request=shapes.RunAnswerSerializer,
        responses={200: shapes.AnsweredSerializer, 400: REFUSED},
        operation_id="answer_question_of_flow",
    )
    def answer_one(self, request: Request, run_id: str) -> Response:
        """Answer a question of the run."""
        run = self.get_run_to_resume(run_id)
        body = self.body(shapes.RunAnswerSerializer)
        return Response(
            self.answer(
                run, possible(run), body.get("question"), body["answer"]
            )
        )

    @extend_schema(
        parameters=[Query],
        responses=page_of(shapes.AuditSerializer),
        operation_id="list_audit_of_flow",
    )
    def audit(self, request: Request, run_id: str) -> Response:
        """Who did what to the run, the newest first."""
        run = self.get_run(run_id)
        wanted = parsed(request, Query)
        found = page(request, run.audit_entries.all(), wanted)
        return self.paged(found, shapes.AuditSerializer, self.context(run))

    @extend_schema(
        responses=shapes.ExplanationSerializer, operation_id="explain_flow"
    )
    def why(self, request: Request, run_id: str) -> Response:
        """Why the run does not move, in a sentence."""
        found = explain(self.get_run(run_id))
        command = found.command if access.is_staff(request) else ""
        return Response({"why": found.why, "command": command})

    @extend_schema(
        parameters=[RunFilters],
        responses=shapes.StatsSerializer,
        operation_id="flow_stats",
    )
    def stats(self, request: Request) -> Response:
        """Numbers of the newest runs by status and by workflow."""
        wanted = parsed(request, RunFilters)
        runs = chosen(request, self.runs(), wanted).order_by("-pk")
        # Faster counted here than by a query around this one.
        newest = list(runs.values_list("status", "workflow_id")[: BOUND + 1])
        is_exact = len(newest) <= BOUND
        del newest[BOUND:]
        by_status = dict.fromkeys(map(str, RunStatus), 0)
        by_status |= Counter(one for one, _ in newest)
        by_type = Counter(workflow_id for _, workflow_id in newest)
        return Response(
            {
                "total": len(newest),
                "by_status": by_status,
                "by_type": dict(sorted(by_type.items())),
                "bound": BOUND,
                "is_exact": is_exact,
            }
        )

    @extend_schema(
        parameters=[RunFilters],
        responses={
            200: shapes.RunDetailSerializer,
            404: OpenApiResponse(description="There is none."),
        },
        operation_id="most_recent_flow",
    )
    def most_recent(self, request: Request) -> Response:
        """The newest run."""
        wanted = parsed(request, RunFilters)
        runs = chosen(request, self.runs(), wanted).order_by("-pk")
        found = self.gate.near(runs.defer(*LARGE)[:NEWEST])
        if not found:
            raise NotFound("You have no such run yet.")
        return Response(self.described(self.get_run(found[0].run_id)))

    def begun(self, run: WorkflowRun) -> Response:
        """Return the answer to what has begun a run."""
        match = self.request.resolver_match
        namespace = match.namespace if match else "hookflow_api"
        where = reverse(f"{namespace}:flow-detail", args=[run.run_id])
        return Response(
            shapes.PayloadRunSerializer(run, context=self.context(run)).data,
            status=status.HTTP_201_CREATED,
            headers={"Location": self.request.build_absolute_uri(where)},
        )

    def steer(self, run_id: str, operation: Callable[..., None]) -> Response:
        run = self.get_run_to_steer(run_id)
        body = self.body(shapes.ReasonSerializer)
        with refusals():
            operation(run.run_id, by=self.by, reason=body["reason"])
        return Response(self.described(self.get_run(run_id)))

    def get_run_to_resume(self, run_id: str) -> WorkflowRun:
        run = self.get_run_to_steer(run_id, RESUME_PERMISSION)
        self.throttle(RESUME_THROTTLE, run.workflow_id, run.version)
        return run

    def answer(
        self, run: WorkflowRun, found: Possible, key: int | None, data: Any
    ) -> dict[str, Any]:
        """Answer the one open question of a run, or the one of a key."""
        return self.answered(the_question(run, found, key).pk, data)

    def send(
        self,
        run: WorkflowRun,
        name: str,
        data: Any,
        body: Mapping[str, Any],
        field: str = "event",
    ) -> bool:
        """Send an event to a run; return whether it was new."""
        if run.is_finished:
            raise ValidationError(
                {
                    WHOLE: f"Run {run.run_id!r} is {run.status}, so it takes "
                    "no more events."
                }
            )
        given = body.get("event_id")
        # Of this run alone: another's must not be in the way of an event.
        made = uuid.uuid5(KEYS, f"{run.run_id}\n{given}").hex
        with refusals(field):
            return send_event(
                name,
                data,
                run_id=run.run_id,
                event_id=made if given else None,
                by=self.by,
            )

    def go_on_with(self, run: WorkflowRun, found: Possible, data: Any) -> None:
        """Take data as the answer, or as that of the event of a run."""
        if found.questions:
            self.answer(run, found, None, data)
        elif len(found.events) == 1:
            self.send(run, found.events[0], data, {})
        else:
            raise not_resumed(run, found)


class OldViewSet(FlowViewSet):
    """The same runs, in the form of the first example API."""

    def missing(self, run_id: str) -> NotFound:
        return NotFound({"error": "Workflow run not found"})

    @extend_schema(
        parameters=[RunFilters],
        responses={200: shapes.OldListSerializer, 400: REFUSED},
        operation_id="list_workflow_runs",
    )
    def list(self, request: Request) -> Response:
        """The newest runs, and how many there are, up to a bound."""
        wanted = parsed(request, RunFilters)
        runs = chosen(request, self.runs(), wanted)
        total, is_exact = bounded_count(runs)
        found = page(request, runs.defer(*LARGE), wanted)
        answer = {
            "total": total,
            "total_is_exact": is_exact,
            "limit": wanted["limit"],
            "offset": wanted["offset"],
            "next_cursor": found.next_cursor,
            "runs": self.gate.near(found.rows),
        }
        return Response(shapes.OldListSerializer(answer).data)

    @extend_schema(
        responses=shapes.OldRunSerializer,
        operation_id="retrieve_workflow_run",
    )
    def retrieve(self, request: Request, run_id: str) -> Response:
        """A run with its steps."""
        run = self.get_run(run_id)
        context = self.with_steps(run)
        return Response(shapes.OldRunSerializer(run, context=context).data)

    @extend_schema(
        responses=shapes.OldTypesSerializer,
        operation_id="list_workflow_types",
    )
    def types(self, request: Request) -> Response:
        """The ids of the workflows."""
        names = sorted({info.name for info in self.infos()})
        return Response({"workflows": names, "count": len(names)})

    @extend_schema(
        request=shapes.StartSerializer,
        responses={201: shapes.StartedSerializer, 400: REFUSED},
        operation_id="start_workflow",
    )
    def begin(self, request: Request, name: str) -> Response:
        """Start a run of the latest version of a workflow."""
        body = self.body(shapes.StartSerializer)
        try:
            get_workflow(name)
        except WorkflowNotFound as error:
            raise NotFound(str(error)) from error
        run = self.start(
            name, None, body.get("input"), key=self.key(body), field="input"
        )
        return Response({"run_id": run.run_id}, status=status.HTTP_201_CREATED)


def refuse_other_data(
    workflow: WorkflowWrapper, data: Any, field: str
) -> None:
    """Refuse what is not an object, where no type of data says otherwise."""
    if workflow.input is None and not isinstance(data, dict | None):
        raise ValidationError(
            {field: ['Expected a JSON object such as {"order": 7}.']}
        )


def renamed(given: Any) -> tuple[str, Any]:
    """Return the field that has the data of a run, and a body with `state`.

    Raises ValidationError for two of them.
    """
    if not isinstance(given, dict):
        return "state", given
    used = [name for name in STATES if name in given]
    if len(used) > 1:
        raise ValidationError(
            {used[1]: [f"It is another name of {used[0]!r}: give one."]}
        )
    if not used:
        return "state", given
    return used[0], {**given, "state": given[used[0]]}


def the_question(
    run: WorkflowRun, found: Possible, key: int | None
) -> Question:
    """Return the open question of a run; raises ValidationError."""
    fitting = [
        question
        for question in found.questions
        if key is None or question.pk == key
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not found.questions:
        raise not_resumed(run, found)
    there = ", ".join(f"{one.pk} ({one.title})" for one in found.questions)
    raise ValidationError(
        {"question": [f"Say which question is answered: {there}."]}
    )


def not_resumed(run: WorkflowRun, found: Possible) -> ValidationError:
    """Return the error that says what resumes a run."""
    fitting = [
        f'{{"answer": …, "question": {one.pk}}} for {one.title!r}'
        for one in found.questions
    ]
    fitting += [f'{{"event": "{name}", "data": …}}' for name in found.events]
    if "resume" in found.actions:
        fitting.append("{} to end its pause")
    said = "; or ".join(fitting) or "nothing"
    return ValidationError(
        {
            WHOLE: f"Run {run.run_id!r} is {run.status}, and this body does "
            f"not resume it. It takes: {said}."
        }
    )
