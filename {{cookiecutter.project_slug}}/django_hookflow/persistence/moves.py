"""Give open runs a new message, for another transport to carry."""

from __future__ import annotations

from django.db.models import Q

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import RunNotOpen
from django_hookflow.persistence import runs
from django_hookflow.states import TERMINAL
from django_hookflow.states import RunStatus


def move(run_id: str) -> Delivery | None:
    """Return a message for a run, with a new token and its old time.

    None if it has none: a worker has it, and sends the next one; or it is
    paused, or waits for an event or its turn. Raises RunNotFound, and
    RunNotOpen.
    """
    run = runs.rows().filter(run_id=run_id).first()
    if run is None:
        raise RunNotFound(run_id)
    if run.is_finished:
        open_ones = [one for one in RunStatus if one not in TERMINAL]
        raise RunNotOpen(run_id, run.status, "move", open_ones)
    if run.wake_at is None or run.status == RunStatus.PAUSED:
        return None
    # As it was read: a claim, or another message, has come first otherwise.
    at_rest = Q(lease_token="") | Q(lease_until__lte=clock.now())
    among = runs.rows().filter(
        at_rest, status=run.status, wake_token=run.wake_token
    )
    return runs.make_due(run, among, run.wake_at)
