"""The site with a page that triggers runs."""

from __future__ import annotations

from django.http import HttpRequest
from django.http import JsonResponse
from django.urls import path

from config.urls import urlpatterns as urls_of_the_site
from django_hookflow.workflows.registry import get_workflow


def trigger(request: HttpRequest, workflow_id: str) -> JsonResponse:
    return JsonResponse({"run_id": get_workflow(workflow_id).trigger()})


urlpatterns = [
    *urls_of_the_site,
    path("trigger/<str:workflow_id>/", trigger),
]
