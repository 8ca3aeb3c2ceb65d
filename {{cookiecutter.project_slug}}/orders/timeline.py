"""The run of an order as the page and the API show it."""

from __future__ import annotations

from datetime import datetime
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from django_hookflow import clock
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun

from .models import Order

TRIED_AGAIN = ("run", "call")
"""Kinds of steps that are attempted; the others only wait."""

KINDS = {"call": "request", "sleep": "pause", "wait_for_event": "wait"}
"""Kinds that customers see; the others are not shown."""

UNFINISHED = "Something went wrong with this order; we will look at it."
AWAY = "The payment provider is unavailable; "
STUCK = "Something did not work; "


def timeline_of(
    order: Order, with_errors: bool = False
) -> dict[str, Any] | None:
    """Return the run with its steps; None after its cleanup.

    The text of an error is for staff: `with_errors` says
    whether to show it beside `trouble`, which is for customers.

    Reads `order` again after the run, so that it shows what a run did that
    has ended; a reader never sees the one ended without the other.
    """
    run = WorkflowRun.objects.current(order.run_id)
    order.refresh_from_db()
    if run is None:
        return None
    steps = list(run.step_executions.all())
    return {
        "run_id": run.run_id,
        "status": run.status,
        "ended": run.is_finished,
        "trouble": trouble(run, steps),
        "error_message": run.error_message if with_errors else "",
        "messages": run.messages,
        "deliveries": run.deliveries,
        "steps": [as_json(step) for step in steps],
    }


def sees_errors(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Return True if this user may read the text of errors."""
    return settings.DEBUG or bool(getattr(user, "is_staff", False))


def trouble(run: WorkflowRun, steps: list[StepExecution]) -> str:
    """Return a run's error in words for customers; "" if none."""
    if not run.error_message:
        return ""
    if run.is_finished:
        return UNFINISHED
    is_away = steps and steps[-1].kind == "call"
    again = f"again at {at(run.wake_at)}" if run.wake_at else "again now"
    return f"{AWAY if is_away else STUCK}we try {again}."


def as_json(step: StepExecution) -> dict[str, Any]:
    """Return a step as JSON: `duration` in seconds; the rest is text."""
    seconds = seconds_of(step.duration)
    return {
        "step_id": step.step_id,
        "kind": step.kind,
        "status": step.status,
        "attempts": step.attempts,
        "started_at": step.started_at,
        "executed_at": None if step.duration is None else step.executed_at,
        "duration": seconds,
        "deliveries": step.deliveries,
        "wake_at": step.wake_at,
        "event_name": step.event_name,
        "title": step.step_id.replace("-", " ").capitalize(),
        "state": state(step),
        "about": about(step),
        "tries": tries(step),
        "took": took(seconds),
    }


def state(step: StepExecution) -> str:
    """Return its status; a wait that timed out did not fail."""
    return "timed out" if step.timed_out else step.status


def about(step: StepExecution) -> str:
    """Return the kind of step and its end, as " · wait until …"."""
    words = [KINDS.get(step.kind, "")]
    if step.status == "waiting":
        words += [
            f"for {step.event_name}" if step.event_name else "",
            until(step),
        ]
    text = " ".join(filter(None, words))
    return f" · {text}" if text else ""


def until(step: StepExecution) -> str:
    if step.wake_at is None:
        return ""
    word = "again at" if step.kind in TRIED_AGAIN else "until"
    return f"{word} {at(step.wake_at)}"


def at(moment: datetime) -> str:
    """Return a time for people, with its day unless that is today."""
    local = timezone.localtime(moment)
    is_today = local.date() == timezone.localtime(clock.now()).date()
    return f"{local:%H:%M:%S %Z}" if is_today else f"{local:%d %b %H:%M %Z}"


def seconds_of(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def tries(step: StepExecution) -> str:
    again = step.kind in TRIED_AGAIN and step.attempts > 1
    return f" · {step.attempts} attempts" if again else ""


def took(seconds: float | None) -> str:
    """Return a duration for people: "12 ms", "1.4 s", "3 min"."""
    if seconds is None:
        return ""
    if seconds < 0.001:
        return "< 1 ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min"
