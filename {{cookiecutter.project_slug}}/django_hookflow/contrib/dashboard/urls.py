"""The addresses of the dashboard, to be included under a prefix of your own.

    path("dashboard/", include("django_hookflow.contrib.dashboard.urls"))

The id of a run may hold slashes, so what follows it comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.http import HttpResponseBase
from django.urls import URLPattern
from django.urls import path
from django.views.decorators.csrf import csrf_protect

from django_hookflow.contrib.dashboard.inboxes import LetterPages
from django_hookflow.contrib.dashboard.inboxes import QuestionPages
from django_hookflow.contrib.dashboard.pages import PageViewSet
from django_hookflow.contrib.dashboard.runs import ACTIONS
from django_hookflow.contrib.dashboard.runs import RunPages

app_name = "hookflow_dashboard"


def page(
    route: str, kind: type[PageViewSet], name: str, **actions: str
) -> URLPattern:
    """Return the address of a page. `actions`: "get" or "post" to a method."""
    return path(route, protected(kind.as_view({**actions})), name=name)


def protected(
    view: Callable[..., HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """Return a view that asks for the token of forms of everyone.

    The framework's own are exempt from that unless the user is logged in.
    """

    @csrf_protect
    def asked(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        return view(request, **kwargs)

    return asked


urlpatterns = [
    page("", RunPages, "runs", get="index"),
    *(
        page(f"runs/<path:run_id>/{name}/", RunPages, name, post=method)
        for name, method in ACTIONS.items()
    ),
    page(
        "runs/<path:run_id>/steps/<int:position>/",
        RunPages,
        "step",
        get="step_page",
    ),
    page("runs/<path:run_id>/", RunPages, "run", get="run_page"),
    page("questions/", QuestionPages, "questions", get="index"),
    page(
        "questions/<int:pk>/",
        QuestionPages,
        "question",
        get="question_page",
        post="answer_page",
    ),
    page("dead-letters/", LetterPages, "dead-letters", get="index"),
    page(
        "dead-letters/<int:pk>/replay/",
        LetterPages,
        "replay",
        post="replay_page",
    ),
]
