"""The run of an order as the page and the API show it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun

from .models import Order

ENDED = ("completed", "failed", "cancelled", "compensated")
TRIED_AGAIN = ("run", "call")
"""Kinds of steps that are attempted; the others are only looked at again."""


def timeline_of(order: Order) -> dict[str, Any] | None:
    """The order's run and its steps so far; None once it was cleaned up.

    Reads `order` again after the run, so that it shows what a run did that
    has ended, and nobody sees the end of the one without that of the other.
    """
    run = last_run(order.run_id)
    order.refresh_from_db()
    if run is None:
        return None
    return {
        "run_id": run.run_id,
        "status": run.status,
        "ended": run.status in ENDED,
        "error_message": run.error_message,
        "messages": run.messages,
        "deliveries": run.deliveries,
        "steps": [as_json(step) for step in run.step_executions.all()],
    }


def last_run(run_id: str) -> WorkflowRun | None:
    """The run, or the last replay of it when it failed."""
    letter = DeadLetterEntry.objects.filter(run_id=run_id).first()
    if letter is not None and letter.is_replayed:
        return last_run(letter.replayed_as)
    return WorkflowRun.objects.filter(run_id=run_id).first()


def as_json(step: StepExecution) -> dict[str, Any]:
    """A step: `duration` in seconds; title, tries and took for people."""
    seconds = seconds_of(step.duration)
    return {
        "step_id": step.step_id,
        "kind": step.kind,
        "status": step.status,
        "attempts": step.attempts,
        "started_at": step.started_at,
        "executed_at": step.executed_at,
        "duration": seconds,
        "deliveries": step.deliveries,
        "title": step.step_id.replace("-", " ").capitalize(),
        "tries": tries(step),
        "took": took(seconds),
    }


def seconds_of(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def tries(step: StepExecution) -> str:
    again = step.kind in TRIED_AGAIN and step.attempts > 1
    return f" · {step.attempts} attempts" if again else ""


def took(seconds: float | None) -> str:
    """A duration for people: "12 ms", "1.4 s", "3 min"."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min"
