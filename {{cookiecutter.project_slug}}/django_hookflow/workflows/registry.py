"""The workflows of this process by id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured

from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.workflows.wrapper import WorkflowWrapper

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


def unregister(workflow_id: str) -> None:
    """Forget a workflow, as a deploy without its code would."""
    _workflows.pop(workflow_id, None)


def get_workflow(workflow_id: str) -> WorkflowWrapper:
    """Return the workflow of this id; WorkflowNotFound names a close one."""
    try:
        return _workflows[workflow_id]
    except KeyError:
        raise WorkflowNotFound(workflow_id, _workflows) from None


def get_all_workflows() -> dict[str, WorkflowWrapper]:
    """Every workflow by its id; a copy."""
    return dict(_workflows)


@contextmanager
def restored() -> Iterator[None]:
    """Forget at the end which workflows were registered within, for tests."""
    known = get_all_workflows()
    try:
        yield
    finally:
        _workflows.clear()
        _workflows.update(known)
