"""Each operation on a run, with a row that says who did it and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from django_hookflow.operations.start import checked_owner
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.database import using


@contextmanager
def audited(
    action: str, run_id: str, by: object, reason: str
) -> Iterator[list[str]]:
    """Do something to a run and note it, in one transaction.

    `by`: a saved user, or a text. What changes nothing is not noted. Yields
    a list for the id of a run that is begun.
    """
    who = checked_owner("by", by)
    begun: list[str] = []
    with transaction.atomic(using()):
        before = WorkflowPersistence.state_of(run_id)
        yield begun
        after = WorkflowPersistence.state_of(run_id)
        if begun or after != before:
            WorkflowPersistence.note(
                run_id, action, who, reason, before, *(begun or [after])
            )
