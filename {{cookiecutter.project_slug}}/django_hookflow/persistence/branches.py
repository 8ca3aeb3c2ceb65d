"""Branches of a fan-out: begun together, and joined after the last.

As many of them as may be at work at once hold a ticket. Who ends, or begins
to wait, passes it on in the same commit: to the worker that it was at work
in, which goes on with the next branch, or by a message, where that worker's
time is up. So a fan-out costs as many messages as tickets, not as branches.

Branches end in commits of their own; how their parent learns it is in
children.py.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet

from django_hookflow import clock
from django_hookflow.conf import conf
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import database
from django_hookflow.persistence import drivers
from django_hookflow.persistence import runs
from django_hookflow.persistence import sql
from django_hookflow.states import RunStatus


def take_next(run: WorkflowRun, lease_token: str) -> WorkflowRun | None:
    """Give the ticket of a branch to the next one, if there is one left.

    With the token of a lease, the next one is at work under it; without, it
    is due.
    """
    run.has_ticket = False
    assert run.parent_id is not None
    return _take(run.parent_id, run.parent_step, lease_token)


def take_from(run: WorkflowRun) -> WorkflowRun | None:
    """Give the next branch the ticket of one that was cancelled with it."""
    held = runs.rows().filter(pk=run.pk, has_ticket=True)
    return take_next(run, "") if held.update(has_ticket=False) else None


def restart(parent: WorkflowRun, step_id: str) -> WorkflowRun | None:
    """Give a ticket to the next branch if no other has one.

    Who had it was deleted.
    """
    if open_ones(parent, step_id).filter(has_ticket=True).exists():
        return None
    return _take(parent.pk, step_id, "")


def _take(parent: int, step_id: str, lease_token: str) -> WorkflowRun | None:
    now = clock.now()
    works = bool(lease_token)
    until = now + timedelta(seconds=conf.DJANGO_HOOKFLOW_LEASE)
    values = {
        "parent_id": parent,
        "parent_step": step_id,
        "status": RunStatus.RUNNING if works else RunStatus.PENDING,
        "lease_token": lease_token,
        "lease_until": until if works else None,
        "sweep_at": database.overdue_after(until if works else now),
        "now": now,
        "claimed_at": now if works else None,
        "deliveries": int(works),
        "messages": int(not works),
    }
    statement = sql.take_next(drivers.driver().skip_locked)
    row = drivers.fetch_one(statement.text, statement.row(values))
    return None if row is None else runs.from_row(row)


def open_ones(parent: WorkflowRun, step_id: str) -> QuerySet[WorkflowRun]:
    return runs.rows().filter(
        parent=parent,
        parent_step=step_id,
        has_ticket__isnull=False,
        completed_at=None,
    )
