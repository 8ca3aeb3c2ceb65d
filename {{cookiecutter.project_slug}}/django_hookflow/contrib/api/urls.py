"""The addresses of the API, to be included under a prefix of your own.

    path("api/hookflow/v1/", include("django_hookflow.contrib.api.urls"))

The id of a run may hold slashes, so what follows it comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import URLPattern
from django.urls import path

from django_hookflow.contrib.api.inboxes import DeadLetterViewSet
from django_hookflow.contrib.api.inboxes import QuestionViewSet
from django_hookflow.contrib.api.views import FlowTypeViewSet
from django_hookflow.contrib.api.views import FlowViewSet
from django_hookflow.contrib.api.views import OldViewSet

app_name = "hookflow_api"

Actions = dict[str, Any]

QUESTIONS: Actions = {"get": "questions", "post": "answer_one"}
# What follows the id of a run.
OF_RUN: Mapping[str, Actions] = {
    "cancel": {"post": "cancel"},
    "resume": {"post": "resume"},
    "pause": {"post": "pause"},
    "retry": {"post": "retry"},
    "fork": {"post": "fork"},
    "events": {"post": "events"},
    "steps": {"get": "steps"},
    "questions": QUESTIONS,
    "audit": {"get": "audit"},
    "why": {"get": "why"},
}
DETAIL: Actions = {"get": "retrieve", "delete": "destroy"}


def flow(route: str, actions: Actions, name: str) -> URLPattern:
    return path(f"flows/{route}", FlowViewSet.as_view(actions), name=name)


start = path(
    "workflows/<str:name>/start",
    OldViewSet.as_view({"post": "begin"}),
    name="workflow-start",
)

urlpatterns = [
    path(
        "flow-types/",
        FlowTypeViewSet.as_view({"get": "list"}),
        name="flow-types",
    ),
    flow("", {"get": "list", "post": "create"}, "flow-list"),
    flow("stats/", {"get": "stats"}, "flow-stats"),
    flow("most-recent/", {"get": "most_recent"}, "flow-most-recent"),
    *(
        flow(f"<path:run_id>/{name}/", actions, f"flow-{name}")
        for name, actions in OF_RUN.items()
    ),
    flow("<path:run_id>/", DETAIL, "flow-detail"),
    path(
        "questions/",
        QuestionViewSet.as_view({"get": "list"}),
        name="question-list",
    ),
    path(
        "questions/<int:pk>/",
        QuestionViewSet.as_view({"get": "retrieve"}),
        name="question-detail",
    ),
    path(
        "questions/<int:pk>/answer/",
        QuestionViewSet.as_view({"post": "answer"}),
        name="question-answer",
    ),
    path(
        "dead-letters/",
        DeadLetterViewSet.as_view({"get": "list"}),
        name="dead-letter-list",
    ),
    path(
        "dead-letters/<int:pk>/",
        DeadLetterViewSet.as_view({"get": "retrieve"}),
        name="dead-letter-detail",
    ),
    path(
        "dead-letters/<int:pk>/replay/",
        DeadLetterViewSet.as_view({"post": "replay"}),
        name="dead-letter-replay",
    ),
    # The form of the first example API, and the start by name.
    path(
        "workflows/",
        OldViewSet.as_view({"get": "list"}),
        name="workflow-list",
    ),
    path(
        "workflows/types/",
        OldViewSet.as_view({"get": "types"}),
        name="workflow-types",
    ),
    start,
    path(
        "workflows/<path:run_id>/",
        OldViewSet.as_view({"get": "retrieve"}),
        name="workflow-detail",
    ),
]
