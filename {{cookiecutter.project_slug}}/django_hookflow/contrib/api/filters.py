"""The parameters of lists, and what they mean to the database."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

from django.db.models import QuerySet
from django.db.models import Value
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from django_hookflow.contrib.api import jsonpaths
from django_hookflow.contrib.api.access import SEE_PAYLOADS
from django_hookflow.contrib.api.access import has_permission
from django_hookflow.contrib.api.access import is_staff
from django_hookflow.contrib.api.access import owner_of
from django_hookflow.contrib.api.errors import refusals
from django_hookflow.contrib.api.pagination import FARTHEST
from django_hookflow.contrib.api.pagination import MOST
from django_hookflow.contrib.api.pagination import USUAL
from django_hookflow.models import WorkflowRun
from django_hookflow.names import NAME_LENGTH
from django_hookflow.states import RunStatus

# Names of statuses in other systems.
ALIASES = {"created": RunStatus.PENDING, "interrupted": RunStatus.WAITING}
ALL = "all"
STATUSES = [*RunStatus.values, *ALIASES, ALL]
# Parameters of the framework itself.
FOREIGN = ("format",)

MOST_PARAMETER = 4096  # characters


class Literal(Value):
    """A status as a part of the statement.

    PostgreSQL plans a prepared statement once for all values of a parameter,
    and then reads all runs for a status that few have.
    """

    def as_sql(self, *_: Any) -> tuple[str, tuple[()]]:
        return f"'{RunStatus(self.value)}'", ()


class Query(serializers.Serializer[Any]):
    """The parameters of a page; an unknown one is refused."""

    PATTERNS: ClassVar[Sequence[str]] = ()  # for people

    limit = serializers.IntegerField(
        default=USUAL,
        min_value=1,
        max_value=MOST,
        help_text="Rows of a page.",
    )
    offset = serializers.IntegerField(
        default=0,
        min_value=0,
        max_value=FARTHEST,
        help_text="Rows to pass over; a cursor is cheaper.",
    )
    cursor = serializers.CharField(
        required=False,
        max_length=MOST_PARAMETER,
        help_text="`next_cursor` of the page before, with the same filters.",
    )

    def takes(self, name: str) -> bool:
        """Return True for a parameter that is no field."""
        return False

    def validate(self, attrs: Any) -> Any:
        known = [*self.fields, *FOREIGN]
        unknown = [
            name
            for name in self.initial_data
            if name not in known and not self.takes(name)
        ]
        if unknown:
            choices = ", ".join([*sorted(self.fields), *self.PATTERNS])
            raise ValidationError(
                {
                    name: [f"Unknown parameter. Choose from: {choices}."]
                    for name in unknown
                }
            )
        return attrs


class StepQuery(Query):
    """The parameters of the steps of a run."""

    offset = None  # type: ignore[assignment]
    cursor = None  # type: ignore[assignment]
    after = serializers.IntegerField(
        default=-1,
        min_value=-1,
        max_value=2**31 - 1,
        help_text="`next_after` of the page before.",
    )


class LetterFilters(Query):
    """The parameters that choose dead letters."""

    COLUMNS: ClassVar = {
        "flow_type": "workflow_id",
        "is_replayed": "is_replayed",
    }

    flow_type = serializers.CharField(
        required=False, max_length=NAME_LENGTH, help_text="Of its run."
    )
    is_replayed = serializers.BooleanField(required=False)


class RunFilters(Query):
    """The parameters that choose runs.

    Beside the fields, `state__address__city=Oslo` chooses those whose data
    or result has this text, number or truth value at this path.
    """

    PATTERNS = ("state__<name>__<name>",)

    status = serializers.ChoiceField(
        STATUSES,
        required=False,
        help_text="`created` is `pending`, `interrupted` is `waiting`.",
        error_messages={
            "invalid_choice": '"{input}" is not a status. Choose from: '
            f"{', '.join(STATUSES)}."
        },
    )
    flow_type = serializers.CharField(
        required=False,
        max_length=NAME_LENGTH,
        help_text="The id of a workflow.",
    )
    workflow_id = serializers.CharField(
        required=False,
        max_length=NAME_LENGTH,
        help_text="Another name of `flow_type`.",
    )
    version = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1
    )
    owner = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=NAME_LENGTH,
        help_text="The key of a user; only staff see others' runs.",
    )
    parent = serializers.CharField(  # type: ignore[assignment]
        required=False,
        max_length=NAME_LENGTH,
        help_text="The runs that this one has started; without it, those "
        "that no run has started.",
    )
    attributes = serializers.CharField(
        required=False,
        max_length=MOST_PARAMETER,
        help_text='A JSON object, such as `{"order": 7}`: runs that have '
        "all of these attributes.",
    )
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)
    completed_after = serializers.DateTimeField(required=False)
    completed_before = serializers.DateTimeField(required=False)

    def takes(self, name: str) -> bool:
        return jsonpaths.path_of(name) is not None

    def validate(self, attrs: Any) -> Any:
        attrs = super().validate(attrs)
        paths = {
            path: str(text)
            for name, text in self.initial_data.items()
            if (path := jsonpaths.path_of(name)) is not None
        }
        if len(paths) > jsonpaths.MOST:
            raise ValidationError(
                {"state": [f"At most {jsonpaths.MOST} paths are looked at."]}
            )
        return attrs | {"paths": paths}

    def validate_attributes(self, text: str) -> dict[str, Any]:
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise ValidationError(
                f'Invalid JSON object {text!r}. Write {{"order": 7}}.'
            )
        return given


class RunListFilters(RunFilters):
    """The parameters of the list of runs."""

    is_detailed = serializers.BooleanField(
        default=False, help_text="Whether to show `state` and `result`."
    )


def parsed(request: Request, kind: type[Query]) -> dict[str, Any]:
    """Return the parameters of a request; raises ValidationError."""
    given = kind(data=request.query_params.dict())
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def chosen(
    request: Request, runs: QuerySet[WorkflowRun], wanted: Mapping[str, Any]
) -> QuerySet[WorkflowRun]:
    """Return the runs that the parameters want."""
    if "owner" in wanted and not is_staff(request):
        _refuse_others(request, wanted["owner"])
    if "parent" not in wanted:
        runs = runs.filter(parent=None)
    for name, condition in CONDITIONS.items():
        if name in wanted:
            runs = condition(runs, wanted[name])
    if wanted["paths"] and not has_permission(request, SEE_PAYLOADS):
        # A filter would tell payloads that are not shown.
        runs = runs.filter(owner=owner_of(request))
    return jsonpaths.having(runs, wanted["paths"])


def _refuse_others(request: Request, owner: str) -> None:
    mine = owner_of(request)
    if owner != mine:
        raise ValidationError(
            {
                "owner": [
                    f"You see your own runs only: those of owner {mine!r}."
                ]
            }
        )


def _by_status(
    runs: QuerySet[WorkflowRun], status: str
) -> QuerySet[WorkflowRun]:
    if status == ALL:
        return runs
    return runs.filter(status=Literal(ALIASES.get(status, status)))


def _by_attributes(
    runs: QuerySet[WorkflowRun], wanted: dict[str, Any]
) -> QuerySet[WorkflowRun]:
    if "self" in wanted:
        raise ValidationError(
            {"attributes": ["'self' cannot be looked for. Rename it."]}
        )
    with refusals("attributes"):
        having = WorkflowRun.objects.with_attributes(**wanted)
    return runs.filter(pk__in=having.values("pk"))


def _by(lookup: str) -> Callable[..., QuerySet[WorkflowRun]]:
    def condition(
        runs: QuerySet[WorkflowRun], value: Any
    ) -> QuerySet[WorkflowRun]:
        return runs.filter(**{lookup: value})

    return condition


CONDITIONS: dict[str, Callable[..., QuerySet[WorkflowRun]]] = {
    "status": _by_status,
    "flow_type": _by("workflow_id"),
    "workflow_id": _by("workflow_id"),
    "version": _by("version"),
    "owner": _by("owner"),
    "parent": _by("parent__run_id"),
    "attributes": _by_attributes,
    "created_after": _by("created_at__gte"),
    "created_before": _by("created_at__lt"),
    "completed_after": _by("completed_at__gte"),
    "completed_before": _by("completed_at__lt"),
}
