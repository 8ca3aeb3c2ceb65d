"""The names, fields and steps that are promised."""

from __future__ import annotations

import importlib

import pytest
from django.apps import apps

import django_hookflow
from django_hookflow.exceptions import StepCompleted
from django_hookflow.workflows.context import StepManager
from django_hookflow.workflows.context import WorkflowContext

PROMISED = {
    "django_hookflow": ["workflow", "step", "send_event", "RetryPolicy"],
    "django_hookflow.executor": ["WorkflowExecutor", "WorkflowHandle"],
    "django_hookflow.exceptions": [
        "WorkflowError",
        "StepCompleted",
        "StepInterrupted",
        "StepTimeout",
    ],
    "django_hookflow.models": ["WorkflowRun", "StepExecution"],
    "django_hookflow.dlq": ["DeadLetterEntry"],
    "django_hookflow.retry": ["is_retryable_error", "RetryPolicy"],
    "django_hookflow.persistence": ["WorkflowPersistence"],
    "django_hookflow.urls": ["urlpatterns"],
    "django_hookflow.workflows.decorator": ["workflow", "WorkflowWrapper"],
    "django_hookflow.workflows.context": ["WorkflowContext", "StepManager"],
    "django_hookflow.workflows.registry": [
        "get_workflow",
        "get_workflow_infos",
    ],
    "django_hookflow.workflows.wrapper": ["WorkflowInfo", "WorkflowWrapper"],
    "django_hookflow.workflows.handlers": [
        "publish_next_step",
        "verify_qstash_signature",
    ],
    "django_hookflow.workflows.views": ["workflow_webhook"],
}

FIELDS = {
    "WorkflowRun": {
        "run_id", "workflow_id", "status", "data", "result", "error_message",
        "created_at", "completed_at",
    },
    "StepExecution": {"workflow_run", "step_id", "result", "executed_at"},
    "DeadLetterEntry": {
        "workflow_id", "run_id", "payload", "error_message", "is_replayed",
    },
}  # fmt: skip


@pytest.mark.parametrize("module", PROMISED)
def test_promised_names_can_be_imported(module: str) -> None:
    found = importlib.import_module(module)

    assert [n for n in PROMISED[module] if not hasattr(found, n)] == []


@pytest.mark.parametrize("model", FIELDS)
@pytest.mark.promise("rows")
def test_promised_fields_are_there(model: str) -> None:
    assert FIELDS[model] <= {*dir(apps.get_model("django_hookflow", model))}


@pytest.mark.promise("context")
def test_promised_steps_are_there() -> None:
    steps = {
        "run",
        "sleep",
        "sleep_until",
        "call",
        "wait_for_event",
        "invoke",
        "until",
    }

    assert steps <= set(dir(StepManager))


def test_promised_low_level_steps_are_there() -> None:
    methods = {
        "is_step_completed",
        "get_step_result",
        "record_step_start",
        "record_step_complete",
        "record_step_failure",
    }

    assert methods <= set(dir(WorkflowContext))


def test_public_names_are_sorted_and_real() -> None:
    names = django_hookflow.__all__

    assert names == sorted(names)
    assert all(getattr(django_hookflow, name) for name in names)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = django_hookflow.nothing


def test_a_caught_suspension_explains_itself() -> None:
    assert str(StepCompleted()) == (
        "StepCompleted ends this delivery of the workflow. If you see it, a "
        "bare `except:` or `except BaseException:` around a step caught it; "
        "catch Exception instead."
    )
