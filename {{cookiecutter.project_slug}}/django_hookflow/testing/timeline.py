"""A run as text, for the failures of tests."""

from __future__ import annotations

from datetime import datetime

from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.states import StepStatus


def timeline(run: WorkflowRun) -> str:
    """Return a line for a run, and one for each of its steps."""
    error = f" ({run.error_type}: {run.error_message})" * bool(run.error_type)
    deliveries = "delivery" if run.deliveries == 1 else "deliveries"
    lines = [
        f"Run {run.run_id} of {run.workflow_id}: {run.status}{error}, "
        f"{run.deliveries} {deliveries}"
    ]
    lines += [_line(step) for step in steps_of(run)]
    return "\n".join(lines)


def steps_of(run: WorkflowRun) -> list[StepExecution]:
    """Return the steps of a run in the order in which it came to them."""
    return list(run.step_executions.order_by("position", "pk"))


def _line(step: StepExecution) -> str:
    facts = [f"{step.position:>4}  {step.step_id:<24} {step.kind:<14}"]
    facts.append(f"{step.status:<10}")
    if step.event_name:
        match = f" with {step.event_match}" if step.event_match else ""
        facts.append(f"for {step.event_name}{match}")
    if step.status == StepStatus.WAITING and step.wake_at is not None:
        facts.append(f"until {_at(step.wake_at)}")
    if step.attempts > 1:
        facts.append(f"after {step.attempts} attempts")
    if step.error_type:
        facts.append(f"{step.error_type}: {step.error_message}")
    return " ".join(facts).rstrip()


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
