"""The shapes of what the API answers and takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from django_hookflow.contrib.api.access import may_see_payloads
from django_hookflow.contrib.api.actions import Possible
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Question
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.names import NAME_LENGTH
from django_hookflow.states import RunStatus
from django_hookflow.workflows.wrapper import WorkflowInfo

MOST_KEY = 200  # characters of an idempotency key

ANYTHING = extend_schema_field(OpenApiTypes.ANY)
Plain = serializers.Serializer[Any]


class ReadOnly(Plain):
    """Something that is only read; payloads are null for some."""

    @property
    def request(self) -> Request:
        request: Request = self.context["request"]
        return request

    def unless_hidden(self, owner: str, value: Any) -> Any:
        return value if may_see_payloads(self.request, owner) else None


class FlowTypeSerializer(Plain):
    """One version of a workflow."""

    flow_type = serializers.CharField(source="name")
    version = serializers.IntegerField()
    is_latest = serializers.SerializerMethodField()
    deprecated = serializers.BooleanField()
    timeout = serializers.SerializerMethodField(
        help_text="Seconds that a run may last; null is for ever."
    )
    input_schema = serializers.SerializerMethodField(
        help_text="The JSON schema of `state`; null is any object."
    )
    output_schema = serializers.SerializerMethodField(
        help_text="The JSON schema of the result; null is anything."
    )

    def get_is_latest(self, info: WorkflowInfo) -> bool:
        latest: dict[str, int] = self.context["latest"]
        return info.version == latest[info.name]

    def get_timeout(self, info: WorkflowInfo) -> float | None:
        return _seconds(info.timeout)

    @extend_schema_field(serializers.DictField(allow_null=True))
    def get_input_schema(self, info: WorkflowInfo) -> Any:
        return info.input_schema

    @extend_schema_field(serializers.DictField(allow_null=True))
    def get_output_schema(self, info: WorkflowInfo) -> Any:
        return info.output_schema


class RunSerializer(ReadOnly):
    """A run, in a list."""

    id = serializers.CharField(source="run_id")
    flow_type = serializers.CharField(source="workflow_id")
    version = serializers.IntegerField()
    status = serializers.ChoiceField(RunStatus.choices)
    requested = serializers.CharField(
        help_text="`pause` or `cancel`, when the step under way has ended."
    )
    owner = serializers.CharField(
        help_text="The key of the user whose run it is, or empty."
    )
    attributes = serializers.SerializerMethodField(
        help_text="What the workflow has said about the run."
    )
    error_type = serializers.CharField()
    error_message = serializers.CharField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)
    wake_at = serializers.DateTimeField(
        allow_null=True, help_text="When its next message is due."
    )
    deadline_at = serializers.DateTimeField(
        allow_null=True, help_text="When it fails if it has not ended."
    )

    @extend_schema_field(serializers.DictField())
    def get_attributes(self, run: WorkflowRun) -> Any:
        return run.attributes


class PayloadRunSerializer(RunSerializer):
    """A run with what it was given and what it has returned."""

    state = serializers.SerializerMethodField(help_text="Its data.")
    result = serializers.SerializerMethodField()
    payloads_hidden = serializers.SerializerMethodField(
        help_text="True if you may see the run, and not its payloads, which "
        "are null then."
    )

    @ANYTHING
    def get_state(self, run: WorkflowRun) -> Any:
        return self.unless_hidden(run.owner, run.data)

    @ANYTHING
    def get_result(self, run: WorkflowRun) -> Any:
        return self.unless_hidden(run.owner, run.result)

    def get_payloads_hidden(self, run: WorkflowRun) -> bool:
        return not may_see_payloads(self.request, run.owner)


class StepSerializer(ReadOnly):
    """A step of a run."""

    step_id = serializers.CharField()
    kind = serializers.CharField()
    status = serializers.CharField()
    position = serializers.IntegerField()
    attempts = serializers.IntegerField()
    started_at = serializers.DateTimeField(allow_null=True)
    executed_at = serializers.DateTimeField(allow_null=True)
    wake_at = serializers.DateTimeField(allow_null=True)
    event_name = serializers.CharField()
    error_type = serializers.CharField()
    error_message = serializers.CharField()
    result = serializers.SerializerMethodField()

    @ANYTHING
    def get_result(self, step: StepExecution) -> Any:
        return self.unless_hidden(self.context["owner"], step.result)


class QuestionSerializer(ReadOnly):
    """A question of a run to people."""

    id = serializers.IntegerField(source="pk")
    status = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    to_user = serializers.CharField()
    to_group = serializers.CharField()
    asked_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True)
    run = serializers.SerializerMethodField(
        help_text="The run that asks; null if you may not see it."
    )

    def get_run(self, question: Question) -> str | None:
        return question.run.run_id if self.context["sees"](question) else None


class RunDetailSerializer(PayloadRunSerializer):
    """A run with its steps, and what can be done to it."""

    parent = serializers.SerializerMethodField(  # type: ignore[assignment]
        help_text="The run that has started it."
    )
    origin = serializers.SerializerMethodField(
        help_text="The run that it goes on for, or is a fork of."
    )
    actions = serializers.SerializerMethodField(
        help_text="What can be done to it now."
    )
    events = serializers.SerializerMethodField(
        help_text="The names of the events that it waits for."
    )
    questions = serializers.SerializerMethodField()
    steps = serializers.SerializerMethodField(
        help_text="The first of its steps; `steps/` has all."
    )
    has_more_steps = serializers.SerializerMethodField()

    def get_parent(self, run: WorkflowRun) -> str | None:
        return run.parent.run_id if run.parent else None

    def get_origin(self, run: WorkflowRun) -> str | None:
        return run.origin.run_id if run.origin else None

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_actions(self, _: WorkflowRun) -> list[str]:
        return self.possible.actions

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_events(self, _: WorkflowRun) -> list[str]:
        return self.possible.events

    @extend_schema_field(QuestionSerializer(many=True))
    def get_questions(self, _: WorkflowRun) -> Any:
        questions = self.possible.questions
        return QuestionSerializer(
            questions, many=True, context=self.context
        ).data

    @extend_schema_field(StepSerializer(many=True))
    def get_steps(self, _: WorkflowRun) -> Any:
        steps = self.context["steps"]
        return StepSerializer(steps, many=True, context=self.context).data

    def get_has_more_steps(self, _: WorkflowRun) -> bool:
        return bool(self.context["has_more_steps"])

    @property
    def possible(self) -> Possible:
        possible: Possible = self.context["possible"]
        return possible


class ExplanationSerializer(Plain):
    """Why a run does not move."""

    why = serializers.CharField()
    command = serializers.CharField(
        help_text="What moves it, for those who run commands; else empty."
    )


class AuditSerializer(ReadOnly):
    """Something that was done to a run by a person or a program."""

    action = serializers.CharField()
    by = serializers.CharField()
    reason = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()
    created_at = serializers.DateTimeField()


class DeadLetterSerializer(ReadOnly):
    """A run that has failed, and waits to be replayed."""

    id = serializers.IntegerField(source="pk")
    run = serializers.CharField(source="run_id")
    flow_type = serializers.CharField(source="workflow_id")
    error_type = serializers.CharField()
    error_message = serializers.CharField()
    is_replayed = serializers.BooleanField()
    replayed_as = serializers.CharField()
    created_at = serializers.DateTimeField()
    replayed_at = serializers.DateTimeField(allow_null=True)


class DeadLetterDetailSerializer(DeadLetterSerializer):
    """The same with the data of the run and the results of its steps."""

    payload = serializers.SerializerMethodField()

    @ANYTHING
    def get_payload(self, letter: DeadLetterEntry) -> Any:
        run = letter.workflow_run
        # Staff see the letters of runs that were deleted.
        return self.unless_hidden(run.owner, letter.payload) if run else None


class StatsSerializer(Plain):
    """Numbers of runs: of the newest, up to `bound`."""

    total = serializers.IntegerField()
    by_status = serializers.DictField(child=serializers.IntegerField())
    by_type = serializers.DictField(child=serializers.IntegerField())
    bound = serializers.IntegerField()
    is_exact = serializers.BooleanField(
        help_text="False if there are more than `bound`."
    )


class OldListedRunSerializer(Plain):
    """A run in the list at `workflows/`."""

    run_id = serializers.CharField()
    workflow_id = serializers.CharField()
    status = serializers.CharField()
    created_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)


@extend_schema_serializer(many=False)
class OldListSerializer(Plain):
    """The list at `workflows/`."""

    total = serializers.IntegerField(help_text="Up to 10,000.")
    total_is_exact = serializers.BooleanField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
    next_cursor = serializers.CharField(allow_null=True)
    runs = OldListedRunSerializer(many=True)


class OldStepSerializer(ReadOnly):
    """A step of the run at `workflows/<run_id>/`."""

    step_id = serializers.CharField()
    result = serializers.SerializerMethodField()
    executed_at = serializers.DateTimeField(allow_null=True)

    @ANYTHING
    def get_result(self, step: StepExecution) -> Any:
        return self.unless_hidden(self.context["owner"], step.result)


class OldRunSerializer(ReadOnly):
    """The run at `workflows/<run_id>/`."""

    run_id = serializers.CharField()
    workflow_id = serializers.CharField()
    status = serializers.CharField()
    data = serializers.SerializerMethodField()  # type: ignore[assignment]
    result = serializers.SerializerMethodField()
    error_message = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    steps = serializers.SerializerMethodField()

    @ANYTHING
    def get_data(self, run: WorkflowRun) -> Any:
        return self.unless_hidden(run.owner, run.data)

    @ANYTHING
    def get_result(self, run: WorkflowRun) -> Any:
        return self.unless_hidden(run.owner, run.result)

    def get_error_message(self, run: WorkflowRun) -> str | None:
        return run.error_message or None

    @extend_schema_field(OldStepSerializer(many=True))
    def get_steps(self, _: WorkflowRun) -> Any:
        steps = self.context["steps"]
        return OldStepSerializer(steps, many=True, context=self.context).data


class OldTypesSerializer(Plain):
    """The workflows at `workflows/types/`."""

    workflows = serializers.ListField(child=serializers.CharField())
    count = serializers.IntegerField()


class StartedSerializer(Plain):
    """The id of a run that was started."""

    run_id = serializers.CharField()


class ReasonSerializer(Plain):
    """Why something is done to a run, for the audit."""

    reason = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=2000
    )


class NewRunSerializer(Plain):
    """A run that is to be started."""

    flow_type = serializers.CharField(
        max_length=NAME_LENGTH, help_text="The id of a workflow."
    )
    version = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text="Of the workflow; without it, the latest.",
    )
    state = serializers.JSONField(
        required=False,
        allow_null=True,
        help_text="The data of the run, as `input_schema` describes it.",
    )
    idempotency_key = serializers.CharField(
        required=False,
        max_length=MOST_KEY,
        help_text="The same again is the same run.",
    )


class StartSerializer(Plain):
    """A run that is to be started by the name of its workflow."""

    input = serializers.JSONField(
        required=False, allow_null=True, help_text="The data of the run."
    )
    idempotency_key = serializers.CharField(
        required=False,
        max_length=MOST_KEY,
        help_text="The same again is the same run.",
    )


class ResumeSerializer(ReasonSerializer):
    """How a run goes on.

    `answer` for its open question, `event` for one that it waits for, and
    neither for a run that is paused.
    """

    answer = serializers.JSONField(
        required=False,
        allow_null=True,
        help_text="The answer to its open question.",
    )
    question = serializers.IntegerField(
        required=False,
        min_value=1,
        help_text="The id of the question, if there are several.",
    )
    event = serializers.CharField(
        required=False,
        max_length=NAME_LENGTH,
        help_text="The name of an event.",
    )
    data = serializers.JSONField(  # type: ignore[assignment]
        required=False, allow_null=True, help_text="The data of the event."
    )
    event_id = serializers.CharField(required=False, max_length=MOST_KEY)
    state = serializers.JSONField(
        required=False,
        allow_null=True,
        help_text="Alone: the answer, or the data of the one event that the "
        "run waits for.",
    )

    def validate(self, attrs: Any) -> Any:
        for one, needs in NEEDS.items():
            if one in attrs and needs not in attrs:
                raise ValidationError(
                    {one: [f"It belongs to {needs!r}, which is missing."]}
                )
        if "answer" in attrs and "event" in attrs:
            raise ValidationError(
                {"event": ["Give an answer or an event, not both."]}
            )
        return attrs


NEEDS = {"question": "answer", "data": "event", "event_id": "event"}


class NewEventSerializer(Plain):
    """An event for a run."""

    name = serializers.CharField(max_length=NAME_LENGTH)
    data = serializers.JSONField(  # type: ignore[assignment]
        required=False, allow_null=True
    )
    event_id = serializers.CharField(
        required=False,
        max_length=MOST_KEY,
        help_text="The same again is the same event.",
    )


class SentEventSerializer(Plain):
    """An event that was sent."""

    name = serializers.CharField()
    is_new = serializers.BooleanField(
        help_text="False if the same event_id was sent to the run before."
    )


class AnswerSerializer(Plain):
    """The answer to a question."""

    answer = serializers.JSONField(
        allow_null=True, help_text="What the form of the question takes."
    )


class RunAnswerSerializer(AnswerSerializer):
    """The answer to a question of a run."""

    question = serializers.IntegerField(
        required=False,
        min_value=1,
        help_text="The id of the question, if there are several.",
    )


class AnsweredSerializer(Plain):
    """An answer that was taken."""

    question = serializers.IntegerField(help_text="Its id.")
    answered_by = serializers.CharField()
    answered_at = serializers.DateTimeField()


class ForkSerializer(ReasonSerializer):
    """A fork of a run."""

    step_id = serializers.CharField(
        max_length=NAME_LENGTH, help_text="The step that it begins with."
    )
    state = serializers.JSONField(
        required=False,
        allow_null=True,
        help_text="Its data, instead of that of the run.",
    )


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
