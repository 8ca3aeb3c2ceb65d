"""Why a run does not move, and what would move it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from shlex import quote

from django_hookflow import clock
from django_hookflow.exceptions import BranchNotReached
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.journal import STARTING
from django_hookflow.journal import UNDO
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus

# Errors of a run that waits for other code.
MISSING = (WorkflowNotFound.__name__, BranchNotReached.__name__)
SWEEP = "manage.py hookflow_sweep --now"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One sentence, and the command that moves the run; empty when none."""

    why: str
    command: str = ""

    def __str__(self) -> str:
        return (
            f"{self.why} To move it: {self.command}"
            if self.command
            else (self.why)
        )


def explain(run: WorkflowRun) -> Explanation:
    """Say why a run does not move, as its rows tell it."""
    if run.status == RunStatus.FAILED:
        return _failed(run)
    if run.is_finished:
        return Explanation(
            f"It is {run.status} since {_at(run.completed_at)}."
        )
    if run.status == RunStatus.PAUSED:
        return _paused(run)
    if run.lease_until is not None:
        return _claimed(run, run.lease_until)
    if run.error_type in MISSING:
        return Explanation(f"Its code is not deployed: {run.error_message}")
    if run.wake_at is not None and run.wake_at <= clock.now():
        return Explanation(
            f"Its message was due at {_at(run.wake_at)} and is on its way, "
            "or was lost.",
            SWEEP,
        )
    return _waiting(run)


def _failed(run: WorkflowRun) -> Explanation:
    said = run.error_message.rstrip(".")
    why = f"It has failed: {run.error_type}: {said}."
    if run.parent is not None:
        parent = run.parent.run_id
        return Explanation(
            f"{why} It is a part of run {parent}.", _command("show", parent)
        )
    letter = run.dead_letters.filter(is_replayed=True).first()
    if letter is not None:
        return Explanation(
            f"{why} It goes on as {letter.replayed_as}.",
            _doctor(letter.replayed_as),
        )
    return Explanation(why, _command("retry", run.run_id))


def _paused(run: WorkflowRun) -> Explanation:
    change = run.audit_entries.filter(action="pause").first()
    by = f" by {change.by}" if change and change.by else ""
    reason = f", because: {change.reason}" if change and change.reason else ""
    return Explanation(
        f"It is paused{by}{reason}.", _command("resume", run.run_id)
    )


def _claimed(run: WorkflowRun, until: datetime) -> Explanation:
    asked = f" It is to {run.requested} then." if run.requested else ""
    if until > clock.now():
        return Explanation(
            f"A worker has it since {_at(run.claimed_at)}, and records the "
            f"step under way when that ends.{asked}"
        )
    return Explanation(
        f"Its worker has died, or cannot write: its lease ended at "
        f"{_at(until)}.{asked}",
        SWEEP,
    )


def _waiting(run: WorkflowRun) -> Explanation:
    if run.is_held_back:
        return Explanation("It begins when another branch lets it.")
    step = run.step_executions.filter(status=StepStatus.WAITING).last()
    until = f" until {_at(run.wake_at)}" if run.wake_at else ""
    if step is None:
        error = _error(run)
        return Explanation(f"It waits{until}{error}.")
    where = f"It waits in step {step.step_id}"
    if step.event_name:
        return _for_event(run, step, where, until)
    # An undo waits without an error for the runs that roll others back.
    if step.kind in STARTING or (step.kind == UNDO and not step.error_type):
        return _for_child(run, step, where)
    undone = " A person may waive it: waive_undo." * (step.kind == UNDO)
    return Explanation(f"{where}{until}{_error(step)}.{undone}")


def _for_event(
    run: WorkflowRun, step: StepExecution, where: str, until: str
) -> Explanation:
    to = f"--match {quote(step.event_match)}"
    match = f" with {step.event_match}"
    if not step.event_match:
        to, match = f"--run {quote(run.run_id)}", ""
    return Explanation(
        f"{where} for the event {step.event_name}{match}{until}.",
        f"manage.py hookflow_runs send-event {quote(step.event_name)} {to}",
    )


def _for_child(
    run: WorkflowRun, step: StepExecution, where: str
) -> Explanation:
    children = run.children.filter(parent_step=step.step_id)
    still_open = children.filter(completed_at=None)
    child = still_open.order_by("branch").first() or children.first()
    if child is None:
        return Explanation(
            f"{where} for a run that was deleted.",
            "manage.py hookflow_sweep --waiting",
        )
    which = f"run {child.run_id}, which is {child.status}"
    if child.is_branch:
        which = (
            f"{still_open.count()} of {children.count()} branches; the first "
            f"is {which}"
        )
    return Explanation(f"{where} for {which}.", _doctor(child.run_id))


def _error(row: WorkflowRun | StepExecution) -> str:
    if not row.error_type:
        return ""
    return f", to try again after {row.error_type}: {row.error_message}"


def _command(action: str, run_id: str) -> str:
    return f"manage.py hookflow_runs {action} {quote(run_id)}"


def _doctor(run_id: str) -> str:
    return f"manage.py hookflow_doctor {quote(run_id)}"


def _at(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
