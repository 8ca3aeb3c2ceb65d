"""The workflows of this process by id and version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured

from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.workflows.wrapper import WorkflowInfo
from django_hookflow.workflows.wrapper import WorkflowWrapper

_workflows: dict[str, dict[int, WorkflowWrapper]] = {}


def register(workflow: WorkflowWrapper) -> None:
    """Add a workflow; ImproperlyConfigured if another has its id and version.

    Versions of one workflow stand beside one another.
    """
    versions = _workflows.setdefault(workflow.workflow_id, {})
    known = versions.get(workflow.version)
    if known is not None and known.name != workflow.name:
        raise ImproperlyConfigured(
            f"Two workflows are called {workflow.workflow_id!r}: "
            f"{known.name} ({known.place}) and "
            f"{workflow.name} ({workflow.place}). "
            "Give the one that has no runs yet another id, for example "
            f'@workflow(workflow_id="{workflow.suggestion}"), or, if it is '
            "to follow the other, another version: "
            f"version={max(versions) + 1}."
        )
    versions[workflow.version] = workflow


def unregister(workflow_id: str, version: int | None = None) -> None:
    """Forget a workflow, or one version, as a deploy without it would."""
    versions = _workflows.pop(workflow_id, {})
    kept = {v: w for v, w in versions.items() if version not in (None, v)}
    if kept:
        _workflows[workflow_id] = kept


def get_workflow(
    workflow_id: str, version: int | None = None
) -> WorkflowWrapper:
    """Return the latest version of a workflow, or the one that is asked for.

    Raises WorkflowNotFound, which names what there is instead.
    """
    versions = _workflows.get(workflow_id, {})
    wanted = max(versions, default=None) if version is None else version
    if wanted is None or wanted not in versions:
        raise WorkflowNotFound(workflow_id, _workflows, version, versions)
    return versions[wanted]


def get_all_workflows() -> dict[str, WorkflowWrapper]:
    """Every workflow by its id, in its latest version; a copy."""
    return {name: get_workflow(name) for name in _workflows}


def get_workflow_infos() -> list[WorkflowInfo]:
    """Return the facts of each version of each workflow, in order."""
    return [
        versions[version].info
        for _, versions in sorted(_workflows.items())
        for version in sorted(versions)
    ]


@contextmanager
def restored() -> Iterator[None]:
    """Forget at the end which workflows were registered within, for tests."""
    known = {name: {**versions} for name, versions in _workflows.items()}
    try:
        yield
    finally:
        _workflows.clear()
        _workflows.update(known)
