"""Dead letters: one for each failed run, and their replay."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet

from django_hookflow import clock
from django_hookflow.exceptions import AlreadyReplayed
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.outcomes import Verdict
from django_hookflow.persistence import database
from django_hookflow.persistence import entries
from django_hookflow.persistence import events
from django_hookflow.persistence import runs
from django_hookflow.states import StepStatus


def rows() -> QuerySet[DeadLetterEntry]:
    return DeadLetterEntry.objects.using(database.using())


def bury(run: WorkflowRun, verdict: Verdict) -> None:
    """Keep a failed run with all that a replay needs."""
    failure = verdict.failure or Failure(type="", message="")
    letter = DeadLetterEntry(
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        root_id=run.root_id,
        error_type=failure.type,
        error_message=failure.message,
        created_at=clock.now(),
    )
    letter.payload = _payload(run, failure)
    letter.save(using=database.using())


def replay(key: int) -> WorkflowRun:
    """A new run behind the completed steps of a failed one."""
    with database.atomic():
        letter = rows().select_for_update().get(pk=key)
        if letter.is_replayed:
            raise AlreadyReplayed(letter.run_id, letter.replayed_as)
        run = _revive(letter)
        if (failed := _failed(letter)) is not None:
            events.hand_over(failed, run)
        letter.is_replayed = True
        letter.replayed_as = run.run_id
        letter.replayed_at = clock.now()
        letter.save(using=database.using())
    return run


def _payload(run: WorkflowRun, failure: Failure) -> Any:
    kept = [
        _plain(entry)
        for entry in entries.read(run)
        if entry.is_recorded and not _is_culprit(entry, failure)
    ]
    return {
        "data": run.data,
        "root_id": run.root_id,
        "completed_steps": kept,
    }


def _is_culprit(entry: Entry, failure: Failure) -> bool:
    """Whether this failed step is what the run failed of: tried again.

    The steps whose failures the function caught stay failed, or it would
    take another branch than before.
    """
    return (
        entry.status == StepStatus.FAILED and entry.step_id == failure.step_id
    )


def _failed(letter: DeadLetterEntry) -> WorkflowRun | None:
    """The run of a letter; a younger one of its id is another."""
    return (
        runs.rows()
        .filter(run_id=letter.run_id, created_at__lte=letter.created_at)
        .first()
    )


def _revive(letter: DeadLetterEntry) -> WorkflowRun:
    payload = letter.payload
    run_id = database.new_token()
    runs.create(
        runs.new_run(
            run_id=run_id,
            workflow_id=letter.workflow_id,
            data=payload["data"],
            root_id=payload["root_id"],
        )
    )
    run = runs.rows().get(run_id=run_id)
    entries.copy(run, map(_entry, payload["completed_steps"]))
    return run


def _plain(entry: Entry) -> dict[str, Any]:
    failure = entry.failure and asdict(entry.failure)
    values = entry._asdict() | {"failure": failure}
    plain: dict[str, Any] = json.loads(
        json.dumps(values, cls=DjangoJSONEncoder)
    )
    return plain


def _entry(plain: dict[str, Any]) -> Entry:
    failure = plain["failure"]
    return Entry(
        step_id=plain["step_id"],
        kind=plain["kind"],
        status=StepStatus(plain["status"]),
        position=plain["position"],
        result=plain["result"],
        failure=Failure(**failure) if failure else None,
        attempts=plain["attempts"],
        deliveries=plain["deliveries"],
        started_at=_time(plain["started_at"]),
        executed_at=_time(plain["executed_at"]),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
