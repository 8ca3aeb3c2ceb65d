"""The example views of django-hookflow's README, unchanged."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.http import JsonResponse
from django.test import Client
from django.urls import path
from django.views.decorators.http import require_GET
from rest_framework import status
from rest_framework.decorators import api_view
from rest_framework.response import Response

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("workflows"),
]


@api_view(["GET"])
def workflow_run_detail(request: Any, run_id: str) -> Response:
    """Get details of a specific workflow run."""
    try:
        run = WorkflowRun.objects.prefetch_related("step_executions").get(
            run_id=run_id
        )
    except WorkflowRun.DoesNotExist:
        return Response(
            {"error": "Workflow run not found"},
            status=status.HTTP_404_NOT_FOUND,
        )

    steps = [
        {
            "step_id": step.step_id,
            "result": step.result,
            "executed_at": step.executed_at.isoformat(),  # type: ignore[union-attr]
        }
        for step in run.step_executions.all().order_by("executed_at")
    ]

    return Response(
        {
            "run_id": run.run_id,
            "workflow_id": run.workflow_id,
            "status": run.status,
            "data": run.data,
            "result": run.result,
            "error_message": run.error_message or None,
            "created_at": run.created_at.isoformat(),
            "completed_at": run.completed_at.isoformat()
            if run.completed_at
            else None,
            "steps": steps,
        }
    )


@require_GET
def workflow_status(request: Any, run_id: str) -> JsonResponse:
    """Simple status endpoint."""
    try:
        run = WorkflowRun.objects.get(run_id=run_id)
    except WorkflowRun.DoesNotExist:
        return JsonResponse({"error": "Not found"}, status=404)

    return JsonResponse(
        {
            "run_id": run.run_id,
            "status": run.status,
            "completed_at": run.completed_at.isoformat()
            if run.completed_at
            else None,
        }
    )


urlpatterns = [
    path("workflows/<str:run_id>/", workflow_run_detail),
    path("status/<str:run_id>/", workflow_status),
]


def refuse() -> None:
    raise ConnectionError("away")


@pytest.mark.parametrize("suspends", ["sleep", "wait", "retry"])
def test_the_example_api_shows_a_run_that_waits(
    world: World, settings: Any, suspends: str
) -> None:
    @workflow
    def patient(ctx: WorkflowContext) -> None:
        ctx.step.run("before", str)
        if suspends == "sleep":
            ctx.step.sleep("pause", "1h")
        elif suspends == "wait":
            ctx.step.wait_for_event("pause", "word", match="m")
        else:
            policy = RetryPolicy(retries=3, delay=60)
            ctx.step.options(retry=policy).run("pause", refuse)

    patient.trigger(data={"a": 1}, run_id="r1")
    world.deliver()
    settings.ROOT_URLCONF = __name__

    shown = Client().get("/workflows/r1/").json()
    short = Client().get("/status/r1/").json()
    missing = [Client().get(f"/{one}/r2/") for one in ("workflows", "status")]

    assert shown == {
        "run_id": "r1",
        "workflow_id": "patient",
        "status": "waiting",
        "data": {"a": 1},
        "result": None,
        "error_message": shown["error_message"],
        "created_at": "2026-01-01T00:00:00+00:00",
        "completed_at": None,
        "steps": shown["steps"],
    }
    assert {one["step_id"]: one["executed_at"] for one in shown["steps"]} == {
        "before": "2026-01-01T00:00:00+00:00",
        "pause": "2026-01-01T00:00:00+00:00",
    }
    assert short == {
        "run_id": "r1",
        "status": "waiting",
        "completed_at": None,
    }
    assert [one.status_code for one in missing] == [404, 404]


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_the_example_api_shows_text_that_is_no_utf_8(
    world: World, settings: Any, accept: str
) -> None:
    name = os.fsdecode(b"caf\xe9.pdf")

    @workflow
    def scan(ctx: WorkflowContext) -> Any:
        return ctx.step.run("list", lambda: {name: [name, "Łódź"]})

    world.finish(scan.trigger(data={"file": name}, run_id="r1"))
    settings.ROOT_URLCONF = __name__

    shown = Client().get("/workflows/r1/", headers={"accept": accept})

    assert shown.status_code == 200
    assert "caf\\udce9.pdf" in shown.content.decode()
    if accept == "application/json":
        assert shown.json()["result"] == {name: [name, "Łódź"]}
