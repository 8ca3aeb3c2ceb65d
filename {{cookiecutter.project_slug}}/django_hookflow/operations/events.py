"""Send events to runs."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.db import transaction

from django_hookflow import clock
from django_hookflow.models import Event
from django_hookflow.names import checked_name
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.database import using
from django_hookflow.sending import send_after_commit
from django_hookflow.serialization import dumps


def send_event(
    name: str,
    data: Any = None,
    *,
    run_id: str | None = None,
    match: object = None,
    event_id: str | None = None,
) -> bool:
    """Tell one run, or a run that waits for `match`, that something happened.

    Give one of `run_id` and `match`. The event commits with the caller's
    transaction and is consumed once, by a wait that is there or comes later.
    The same `event_id` again is the same event: returns whether it was new.
    Raises RunNotFound, EventConflict when it was sent to another address,
    and SerializationError for `data`.
    """
    event = _new_event(name, data, run_id, match, event_id)
    with transaction.atomic(using()):
        is_new, messages = WorkflowPersistence.send_event(event, run_id)
        send_after_commit(messages)
    return is_new


def _new_event(
    name: str,
    data: Any,
    run_id: str | None,
    match: object,
    event_id: str | None,
) -> Event:
    if (run_id is None) == (match is None or match == ""):
        raise TypeError(
            "An event goes to one run or to one match. Write "
            "send_event(name, data, run_id=…) or send_event(…, match=…)."
        )
    return Event(
        name=checked_name("name", name),
        match="" if match is None else checked_name("match", str(match)),
        data=json.loads(dumps(data, f"The data of event {name!r}")),
        event_id=checked_name(
            "event_id", uuid.uuid4().hex if event_id is None else event_id
        ),
        created_at=clock.now(),
    )
