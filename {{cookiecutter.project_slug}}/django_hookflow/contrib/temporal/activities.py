"""The activities by which an execution moves its run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from contextvars import copy_context
from datetime import timedelta

from django.db import router
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.exceptions import ApplicationErrorCategory

from django_hookflow import cancel_run
from django_hookflow import engine
from django_hookflow import stopping
from django_hookflow.contrib.temporal.messages import ADVANCE
from django_hookflow.contrib.temporal.messages import REQUEST_CANCEL
from django_hookflow.contrib.temporal.messages import Standing
from django_hookflow.contrib.temporal.messages import Wake
from django_hookflow.contrib.temporal.transport import advancing
from django_hookflow.contrib.temporal.transport import wake_of
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import LeaseLost
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import RunNotOpen
from django_hookflow.models import WorkflowRun
from django_hookflow.outcomes import Busy
from django_hookflow.outcomes import Stale
from django_hookflow.states import Request
from django_hookflow.states import RunStatus

COLUMNS = ("workflow_id", "status", "requested", "wake_token", "wake_at")


# Without an exception in the thread when Temporal cancels: it would appear
# anywhere, also within a COMMIT.
@activity.defn(name=ADVANCE, no_thread_cancel_exception=True)
def advance(wake: Wake) -> Standing:
    """Advance a run once; return how it stands then.

    If an attempt is lost after its commit, the next one finds that its token
    is stale, and returns the live one.
    """
    if stopping.is_stopping():
        raise _again("This worker stops.", 1)
    delivery = Delivery(
        run_id=wake.run_id,
        workflow_id=wake.workflow_id,
        token=wake.token,
        repeat=wake.repeat,
    )
    try:
        with _heartbeats(wake.patience / 3), advancing(wake.run_id):
            answer = engine.advance(delivery)
    except LeaseLost as lost:
        raise _again(f"The lease was lost: {lost.__cause__!r}", 1) from None
    if isinstance(answer, Busy):
        raise _again("Another delivery has the run.", answer.seconds + 1)
    standing = standing_of(wake.run_id)
    is_same = standing.wake is not None and standing.wake.token == wake.token
    if is_same and isinstance(answer, Stale):
        # The row is not for this delivery: paused, held back, or another's.
        return Standing(standing.status, standing.is_finished)
    return standing


@activity.defn(name=REQUEST_CANCEL, no_thread_cancel_exception=True)
def request_cancel(run_id: str) -> None:
    """Ask a run to end, and to undo its steps."""
    with suppress(RunNotFound, RunNotOpen):
        cancel_run(run_id)


def standing_of(run_id: str) -> Standing:
    """Return how the row of a run stands now."""
    # Not from a replica, which may be behind.
    rows = WorkflowRun.objects.using(router.db_for_write(WorkflowRun))
    run = rows.filter(run_id=run_id).only(*COLUMNS).first()
    if run is None:
        return Standing("", is_finished=True)
    if run.is_finished:
        return Standing(run.status, is_finished=True)
    is_paused = run.status == RunStatus.PAUSED or run.requested == (
        Request.PAUSE
    )
    if run.wake_at is None or is_paused:
        return Standing(run.status, is_finished=False)
    delivery = Delivery(
        run_id=run_id,
        workflow_id=run.workflow_id,
        token=run.wake_token,
        not_before=run.wake_at,
    )
    return Standing(run.status, is_finished=False, wake=wake_of(delivery))


def _again(why: str, seconds: float) -> ApplicationError:
    """Return an error that has the same activity tried again."""
    return ApplicationError(
        why,
        type="Again",
        next_retry_delay=timedelta(seconds=seconds),
        category=ApplicationErrorCategory.BENIGN,
    )


@contextmanager
def _heartbeats(seconds: float) -> Iterator[None]:
    """Tell Temporal that this worker lives, again after each interval."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(seconds):
            activity.heartbeat()

    job = copy_context()
    thread = threading.Thread(
        target=job.run, args=[beat], name="hookflow-heartbeat", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
