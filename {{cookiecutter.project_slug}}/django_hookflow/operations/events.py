"""Send events to runs."""

from __future__ import annotations

import json
import uuid
from typing import Any
from typing import Literal
from typing import Protocol
from typing import overload

from django.db import transaction

from django_hookflow import clock
from django_hookflow.journal import ANSWER
from django_hookflow.models import Event
from django_hookflow.names import checked_name
from django_hookflow.operations.start import checked_owner
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.database import using
from django_hookflow.sending import send_after_commit
from django_hookflow.serialization import dumps


class Named(Protocol):
    """A workflow, by as much as an event looks at."""

    @property
    def workflow_id(self) -> str: ...


@overload
def send_event(
    name: str,
    data: Any = None,
    *,
    run_id: str | None = None,
    match: object = None,
    event_id: str | None = None,
    broadcast: Literal[False] = False,
    by: object = None,
) -> bool: ...


@overload
def send_event(
    name: str,
    data: Any = None,
    *,
    match: object = None,
    workflow: Named | str | None = None,
    event_id: str | None = None,
    broadcast: Literal[True],
) -> int: ...


def send_event(
    name: str,
    data: Any = None,
    *,
    run_id: str | None = None,
    match: object = None,
    workflow: Named | str | None = None,
    event_id: str | None = None,
    broadcast: bool = False,
    by: object = None,
) -> int:
    """Tell one run, or a run that waits for `match`, that something happened.

    Give one of `run_id` and `match`. The event commits with the caller's
    transaction and is consumed once, by a wait that is there or comes later.
    The same `event_id` again is the same event: returns whether it was new.
    Raises RunNotFound, EventConflict when it was sent to another address,
    and SerializationError for `data`. `by`: a saved user or a text that sends
    a new event to `run_id`; an AuditEntry of the run keeps it.

    With `broadcast`, each run that waits for the event now gets one of its
    own: at `match` if that is given, and of `workflow`, a workflow or its id,
    if that is. Returns how many runs it was new to.
    """
    if by is not None and run_id is None:
        raise TypeError(
            "An event is noted with the run that it goes to. Write "
            "send_event(name, data, run_id=…, by=…), or leave out by=."
        )
    if broadcast:
        return _broadcast(name, data, run_id, match, workflow, event_id)
    if workflow is not None:
        raise TypeError(
            "An event for the runs of a workflow is a broadcast. Write "
            "send_event(name, data, workflow=…, broadcast=True)."
        )
    if (run_id is None) == (match is None or match == ""):
        raise TypeError(
            "An event goes to one run or to one match. Write "
            "send_event(name, data, run_id=…) or send_event(…, match=…)."
        )
    event = _new_event(name, data, match, event_id)
    with transaction.atomic(using()):
        is_new, messages = WorkflowPersistence.send_event(event, run_id)
        if is_new and by is not None and event.run is not None:
            _note(event.run.run_id, event.name, by)
        send_after_commit(messages)
    return is_new


def _note(run_id: str, name: str, by: object) -> None:
    who, state = checked_owner("by", by), WorkflowPersistence.state_of(run_id)
    WorkflowPersistence.note(run_id, "event", who, name, state, state)


def _broadcast(
    name: str,
    data: Any,
    run_id: str | None,
    match: object,
    workflow: Named | str | None,
    event_id: str | None,
) -> int:
    if run_id is not None:
        raise TypeError(
            "A broadcast has no run_id. Write send_event(name, data, "
            "run_id=…) for one run, or leave it out for all that wait."
        )
    event = _new_event(name, data, match, event_id)
    workflow_id = getattr(workflow, "workflow_id", workflow) or ""
    if not isinstance(workflow_id, str):
        raise TypeError(
            f"Invalid workflow {workflow!r}, expected a function declared by "
            "@workflow, or its id."
        )
    with transaction.atomic(using()):
        reached, messages = WorkflowPersistence.broadcast(event, workflow_id)
        send_after_commit(messages)
    return reached


def _new_event(
    name: str, data: Any, match: object, event_id: str | None
) -> Event:
    if str(name).startswith(ANSWER):
        raise ValueError(
            f"Invalid name {name!r}: only answer_question(question_id, data, "
            "by=user) answers a question."
        )
    return Event(
        name=checked_name("name", name),
        match="" if match in (None, "") else checked_name("match", str(match)),
        data=json.loads(dumps(data, f"The data of event {name!r}")),
        event_id=checked_name(
            "event_id", uuid.uuid4().hex if event_id is None else event_id
        ),
        created_at=clock.now(),
    )
