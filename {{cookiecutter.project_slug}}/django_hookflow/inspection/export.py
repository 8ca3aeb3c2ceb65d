"""A run that has failed, as a test of pytest that fails in the same way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pprint import pformat
from typing import Any

from django_hookflow.exceptions import HookflowError
from django_hookflow.journal import UNDO
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.states import RECORDED
from django_hookflow.states import StepStatus

# Keys of data that are not to be in a file.
SECRET = re.compile(
    r"password|passwd|secret|token|api_?key|authorization|cookie|card|iban"
    r"|email|phone",
    re.IGNORECASE,
)
REDACTED = "redacted"
# Errors that come from outside of the function and its steps.
FROM_OUTSIDE = (
    "CompensationFailed",
    "OutcomeRefused",
    "RunTimeout",
    "WorkerCrashed",
)
WIDTH = 79  # of a line

MODULE = '''\
"""Run {run_id} of {workflow_id} failed, and so does this test.

Its recorded steps return their results; the code after them is called. Rows
that it reads are not here: make them in a fixture.{redacted}
"""

from __future__ import annotations

import pytest

from django_hookflow.testing import Hookflow

# {error}
RUN = {run}

STEPS = {steps}


@pytest.mark.django_db
def test_the_run_ends_well(hookflow: Hookflow) -> None:
    hookflow.restore(RUN, STEPS).finish()
'''


class NotExportable(HookflowError):
    """The run did not fail, or not of its own code."""

    def __init__(self, run_id: str, status: str, error_type: str) -> None:
        if error_type:
            super().__init__(
                f"Run {run_id!r} failed with {error_type}, which comes from "
                "outside of its function: a test cannot repeat it. Only runs "
                "that failed of an error in their code can be exported."
            )
            return
        super().__init__(
            f"Run {run_id!r} is {status} and did not fail. Only failed runs "
            'can be exported; "manage.py hookflow_runs list --status failed" '
            "lists them."
        )


def export(run: WorkflowRun, *, redact: bool = True) -> str:
    """Return a run as the text of a test; raises NotExportable.

    `redact`: leave out values whose key looks like that of a secret.
    """
    if not run.is_finished or not run.error_type:
        raise NotExportable(run.run_id, run.status, "")
    if run.error_type in FROM_OUTSIDE:
        raise NotExportable(run.run_id, run.status, run.error_type)
    facts = {
        "run_id": run.run_id,
        "root_id": run.root_id,
        "workflow_id": run.workflow_id,
        "version": run.version,
        "owner": run.owner,
        "started_at": run.started_at and run.started_at.isoformat(),
        "data": run.data,
    }
    steps = list(_steps(run))
    text = _formatted(facts), _formatted(steps)
    note = ""
    if redact:
        text = _formatted(redacted(facts)), _formatted(redacted(steps))
        if text != (_formatted(facts), _formatted(steps)):
            note = f" Values that were {REDACTED!r} may matter."
    error = f"{run.error_type}: {run.error_message}"
    return MODULE.format(
        run_id=_plain(run.run_id),
        workflow_id=_plain(run.workflow_id),
        redacted=note,
        error=" ".join(error.split())[: WIDTH - 2],
        run=text[0],
        steps=text[1],
    )


def redacted(value: Any, key: str = "") -> Any:
    """Return JSON in which what looks like a secret is "redacted"."""
    if isinstance(value, dict):
        return {name: redacted(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [redacted(one, key) for one in value]
    is_secret = SECRET.search(key) is not None
    return REDACTED if is_secret and isinstance(value, str) else value


def _steps(run: WorkflowRun) -> Iterator[dict[str, Any]]:
    """Yield the steps that are recorded, but for the one that failed it."""
    for step in run.step_executions.exclude(kind=UNDO):
        if step.status not in RECORDED or _is_cause(run, step):
            continue
        facts = {
            "step_id": step.step_id,
            "kind": step.kind,
            "status": _undone(step.status),
            "position": step.position,
            "result": step.result,
            "attempts": step.attempts,
            "started_at": step.started_at and step.started_at.isoformat(),
            "executed_at": step.executed_at and step.executed_at.isoformat(),
            "error_type": step.error_type,
            "error_message": step.error_message,
        }
        yield {k: v for k, v in facts.items() if v not in (None, "")}


def _is_cause(run: WorkflowRun, step: StepExecution) -> bool:
    is_named = step.step_id == run.error_step
    return is_named and step.status == StepStatus.FAILED


def _undone(status: str) -> str:
    """Return the status of a step before its run was rolled back."""
    undone = status == StepStatus.COMPENSATED
    return str(StepStatus.COMPLETED if undone else status)


def _formatted(value: Any) -> str:
    return pformat(value, width=WIDTH - 1, sort_dicts=False)


def _plain(text: str) -> str:
    """Return text that fits into a docstring."""
    return text.replace("\\", "/").replace('"', "'")
