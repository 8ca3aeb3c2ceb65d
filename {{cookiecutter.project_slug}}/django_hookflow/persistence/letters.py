"""Dead letters: one for each failed run, and the run that goes on for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db.models import QuerySet

from django_hookflow import clock
from django_hookflow.exceptions import AlreadyReplayed
from django_hookflow.exceptions import RunNotFailed
from django_hookflow.exceptions import RunNotFound
from django_hookflow.journal import NO_FAILURE
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.outcomes import Verdict
from django_hookflow.persistence import database
from django_hookflow.persistence import events
from django_hookflow.persistence import runs
from django_hookflow.states import RunStatus


def rows() -> QuerySet[DeadLetterEntry]:
    return DeadLetterEntry.objects.using(database.using())


def add(run: WorkflowRun, verdict: Verdict) -> None:
    """Write the letter of a run that has failed."""
    failure = verdict.failure or NO_FAILURE
    rows().create(
        workflow_run=run,
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        root_id=run.root_id,
        error_type=failure.type,
        error_message=failure.message,
        created_at=clock.now(),
    )


def key_of(run_id: str) -> int:
    """Return the key of the letter of a failed run.

    Raises RunNotFound, RunNotFailed, and AlreadyReplayed.
    """
    run = runs.rows().filter(run_id=run_id).first()
    if run is None:
        raise RunNotFound(run_id)
    if run.status != RunStatus.FAILED:
        raise RunNotFailed(run_id, run.status)
    if run.parent is not None:
        raise RunNotFailed(run_id, run.status, run.parent.run_id)
    letter = rows().filter(workflow_run=run).first()
    if letter is None:  # cleaned up, long after its replay
        retried = runs.rows().filter(origin=run, root_id=run.root_id).first()
        raise AlreadyReplayed(run_id, retried.run_id if retried else "")
    return letter.pk


def retry(
    key: int, timeout_of: Callable[[WorkflowRun], timedelta | None]
) -> WorkflowRun:
    """Create a run that goes on behind the ended steps of a failed one.

    The step that it failed of is tried again. `timeout_of`: how long a run
    that goes on for another may last.
    """
    with database.atomic():
        letter = rows().select_for_update().get(pk=key)
        if letter.is_replayed:
            raise AlreadyReplayed(letter.run_id, letter.replayed_as)
        failed = letter.workflow_run
        if failed is None:
            raise RunNotFound(letter.run_id)
        run = runs.new_run(
            run_id=database.new_token(),
            workflow_id=failed.workflow_id,
            version=failed.version,
            owner=failed.owner,
            data=failed.data,
            origin=failed,
            timeout=timeout_of(failed),
        )
        runs.create(run)
        events.hand_over(failed, run)
        letter.is_replayed = True
        letter.replayed_as = run.run_id
        letter.replayed_at = clock.now()
        letter.save(using=database.using())
    return run
