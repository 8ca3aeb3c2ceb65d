"""A run that ends by going on as a new one, in the commit of its end.

Unlike the retry of a dead letter it begins with an empty journal, and with
idempotency keys of its own. Its parent, and who sends it an event, find the
new one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager

from django_hookflow.models import WorkflowRun
from django_hookflow.outcomes import Continued
from django_hookflow.persistence import database
from django_hookflow.persistence import events
from django_hookflow.persistence import runs


@contextmanager
def going_on(
    run: WorkflowRun,
    continued: Continued,
    begin: Callable[[list[WorkflowRun]], None],
) -> Iterator[None]:
    """A transaction that ends `run`, and gives `begin` the one that begins.

    The locks that come before that of the run are taken first: who cancels
    its parent has the parent's row, and waits for this one.
    """
    with database.atomic():
        events.take_turn_at(run)
        if run.parent_id is not None:
            parent = runs.rows().filter(pk=run.parent_id)
            list(parent.select_for_update(no_key=True))
        yield
        begin([_begin(run, continued)])


def _begin(run: WorkflowRun, continued: Continued) -> WorkflowRun:
    new = runs.new_run(
        run_id=continued.run_id,
        workflow_id=run.workflow_id,
        version=run.version,
        owner=run.owner,
        data=json.loads(continued.data),
        subject=run.subject,
        timeout=continued.timeout,
    )
    new.origin = run
    new.attributes = run.attributes
    new.depth = run.depth
    new.parent_id, new.parent_step = run.parent_id, run.parent_step
    # One run at a time stands at the step of a parent.
    runs.rows().filter(pk=run.pk).update(
        parent=None, parent_step="", sweep_at=None
    )
    run.parent, run.parent_step = None, ""
    runs.create(new)
    events.hand_over(run, new)
    return new
