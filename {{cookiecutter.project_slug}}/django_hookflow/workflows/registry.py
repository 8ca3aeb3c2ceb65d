"""The workflows of this process by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured

from django_hookflow.exceptions import WorkflowNotFound

if TYPE_CHECKING:
    from django_hookflow.workflows.decorator import WorkflowWrapper

_workflows: dict[str, WorkflowWrapper] = {}


def register(workflow: WorkflowWrapper) -> None:
    """Add a workflow; ImproperlyConfigured if another has its id."""
    known = _workflows.get(workflow.workflow_id)
    if known is not None and known.name != workflow.name:
        raise ImproperlyConfigured(
            f"Two workflows are called {workflow.workflow_id!r}: "
            f"{known.name} ({known.place}) and "
            f"{workflow.name} ({workflow.place}). "
            "Give the one that has no runs yet another id, for example "
            f'@workflow(workflow_id="{workflow.suggestion}").'
        )
    _workflows[workflow.workflow_id] = workflow


def get_workflow(workflow_id: str) -> WorkflowWrapper:
    """The workflow of this id; WorkflowNotFound names a close one."""
    try:
        return _workflows[workflow_id]
    except KeyError:
        raise WorkflowNotFound(workflow_id, _workflows) from None


def get_all_workflows() -> dict[str, WorkflowWrapper]:
    """Every workflow by its id; a copy."""
    return dict(_workflows)
