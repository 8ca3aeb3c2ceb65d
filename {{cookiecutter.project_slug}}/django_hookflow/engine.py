"""The machine: a delivery comes in, a run moves on, one verdict is written.

    claim → replay → settle → commit → send

Everything that happens to runs is a function here; doors call them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import datetime
from datetime import timedelta
from functools import partial
from typing import Any
from typing import TypeAlias

from django.db import transaction
from django.dispatch import Signal

from django_hookflow import clock
from django_hookflow import signals
from django_hookflow import stopping
from django_hookflow import tracing
from django_hookflow.ambience import in_its_own
from django_hookflow.conf import conf
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import LeaseLost
from django_hookflow.exceptions import OutcomeRefused
from django_hookflow.exceptions import RunConflict
from django_hookflow.exceptions import TransportError
from django_hookflow.exceptions import WorkerCrashed
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.heartbeat import beating
from django_hookflow.heartbeat import give_back
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Event
from django_hookflow.models import WorkflowRun
from django_hookflow.names import NAME_LENGTH
from django_hookflow.names import UNFIT
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.database import is_ill
from django_hookflow.persistence.database import new_token
from django_hookflow.persistence.database import using
from django_hookflow.persistence.runs import Busy
from django_hookflow.persistence.runs import Claim
from django_hookflow.persistence.runs import Stale
from django_hookflow.replay import Outcome
from django_hookflow.replay import Raised
from django_hookflow.replay import Waiting
from django_hookflow.replay import replay as replay_function
from django_hookflow.serialization import dumps
from django_hookflow.serialization import is_same
from django_hookflow.serialization import loads
from django_hookflow.settle import Verdict
from django_hookflow.settle import settle
from django_hookflow.states import RunStatus
from django_hookflow.steps.session import Session
from django_hookflow.tracing import Work
from django_hookflow.transports import get_transport
from django_hookflow.workflows.context import StepManager
from django_hookflow.workflows.context import WorkflowContext
from django_hookflow.workflows.decorator import WorkflowWrapper
from django_hookflow.workflows.registry import get_workflow

Advance: TypeAlias = Verdict | Stale | Busy


def trigger(
    workflow: WorkflowWrapper,
    *,
    data: dict[str, Any] | None = None,
    run_id: str | None = None,
) -> str:
    """Write a run and ring for it when the caller's transaction commits."""
    run = _new_run(workflow, data, run_id)
    existing = WorkflowPersistence.create(run)
    if existing is None:
        _begin(run)
    elif existing.workflow_id != run.workflow_id:
        raise RunConflict(run.run_id, "another workflow")
    elif not is_same(existing.data, run.data):
        raise RunConflict(run.run_id, "other data")
    return run.run_id


def advance(delivery: Delivery) -> Advance:
    """Move the run that a message rings for as far as it goes.

    Raises WorkflowNotFound when this process does not know its workflow, and
    LeaseLost when nobody knows what was written: both mean "come again".
    """
    workflow = _workflow_of(delivery)
    lease = new_token()
    try:
        return in_its_own(_advance, workflow, delivery, lease)
    except LeaseLost as lost:
        cause = lost.__cause__
        if cause is not None and is_ill(cause):
            give_back(delivery.run_id, lease, cause)
        raise


def send_event(
    name: str,
    data: Any = None,
    *,
    run_id: str | None = None,
    match: object = None,
    event_id: str | None = None,
) -> bool:
    """Tell a run, or whoever waits for `match`, that something happened.

    Give one of `run_id` and `match`. The event commits with the caller's
    transaction and is consumed once, by a wait that is there or comes later.
    The same `event_id` again is the same event: returns whether it was new.
    Raises RunNotFound, EventConflict when it was sent to another address,
    and SerializationError for `data`.
    """
    event = _new_event(name, data, run_id, match, event_id)
    with transaction.atomic(using()):
        is_new, messages = WorkflowPersistence.send_event(event, run_id)
        _send_after_commit(messages)
    return is_new


def sweep(limit: int = 1000) -> int:
    """Send again for runs that are overdue; returns how many.

    With what is left of `limit`, look again at runs that have waited without
    a time for DJANGO_HOOKFLOW_LOOK_AGAIN seconds.
    """
    messages = WorkflowPersistence.sweep(limit)
    for message in messages:
        _signal(signals.run_swept, message)
        _send(message)
    # What they were to take may be waiting for them in vain.
    late = [message.run_id for message in messages]
    for message in WorkflowPersistence.pass_over(late) if late else ():
        _send(message)
    swept, pause = len(messages), conf.DJANGO_HOOKFLOW_LOOK_AGAIN
    if pause and swept < limit:
        before = clock.now() - timedelta(seconds=pause)
        swept += look_again(limit - swept, before)
    return swept


def look_again(limit: int, before: datetime) -> int:
    """Replay runs that wait without a time, unless replayed since `before`.

    Returns how many. One that still waits for the same suspends again.
    """
    messages = WorkflowPersistence.look_again(limit, before)
    for message in messages:
        _send(message)
    return len(messages)


def replay(letter: DeadLetterEntry) -> str:
    """Begin a failed run again behind its completed steps, as a new run."""
    with transaction.atomic(using()):
        run = WorkflowPersistence.replay(letter.pk)
        _begin(run)
    return run.run_id


def _new_run(
    workflow: WorkflowWrapper, data: dict[str, Any] | None, run_id: str | None
) -> WorkflowRun:
    if data is not None and not isinstance(data, dict):
        raise TypeError(
            f"The data of a run is a dict, not {type(data).__name__}. "
            'Write trigger(data={"order_id": order.pk}).'
        )
    run_id = _checked("run_id", _or_random(run_id))
    text = dumps(data or {}, f"The data of run {run_id!r}")
    return WorkflowPersistence.new_run(
        run_id=run_id,
        workflow_id=workflow.workflow_id,
        data=json.loads(text),
        root_id=run_id,
    )


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
        name=_checked("name", name),
        match="" if match is None else _checked("match", str(match)),
        data=json.loads(dumps(data, f"The data of event {name!r}")),
        event_id=_checked("event_id", _or_random(event_id)),
        created_at=clock.now(),
    )


def _or_random(name: str | None) -> str:
    return uuid.uuid4().hex if name is None else name


def _checked(what: str, value: str) -> str:
    if not isinstance(value, str) or not value or UNFIT.search(value):
        raise ValueError(
            f"{what} is {value!r}. Use text without control characters."
        )
    if len(value) > NAME_LENGTH:
        raise ValueError(
            f"{what} has {len(value)} characters. Use at most {NAME_LENGTH}."
        )
    return value


def _workflow_of(delivery: Delivery) -> WorkflowWrapper:
    """The code of a run; if it is not here, the run's row says so."""
    try:
        return get_workflow(delivery.workflow_id)
    except WorkflowNotFound as error:
        error.is_news = WorkflowPersistence.explain(
            delivery, Failure.of(error)
        )
        raise


def _advance(
    workflow: WorkflowWrapper, delivery: Delivery, lease: str
) -> Advance:
    claim = WorkflowPersistence.claim(delivery, lease)
    if not isinstance(claim, Claim):
        return claim
    with tracing.delivery(claim.run) as work:
        verdict, messages = _move(workflow, claim, work)
        for message in messages:
            _send(message)
    return verdict


def _move(
    workflow: WorkflowWrapper, claim: Claim, work: Work
) -> tuple[Verdict, list[Delivery]]:
    run = claim.run
    _signal(signals.run_claimed, run, delivery=run.deliveries)
    with beating(run):
        outcome = _replay(workflow, claim, work)
        verdict = settle(
            outcome,
            attempts=run.attempts,
            policy=workflow.retry,
            now=clock.now(),
        )
        try:
            messages = WorkflowPersistence.commit(run, verdict, claim.journal)
        except Exception as refusal:  # an ill database is a LeaseLost
            outcome, verdict = _refused(run, refusal)
            messages = WorkflowPersistence.commit(run, verdict, claim.journal)
    error = outcome.error if isinstance(outcome, Raised | Waiting) else None
    _signal(signals.run_committed, run, verdict=verdict, error=error)
    return verdict, messages


def _refused(run: WorkflowRun, refusal: Exception) -> tuple[Outcome, Verdict]:
    """The end of a run whose verdict can never be written."""
    error = OutcomeRefused(run.run_id, refusal)
    error.__cause__ = refusal
    failed = Verdict(
        status=RunStatus.FAILED,
        failure=Failure.of(error),
        attempts=run.attempts,
    )
    return Raised(error), failed


def _replay(workflow: WorkflowWrapper, claim: Claim, work: Work) -> Outcome:
    run = claim.run
    if run.crashes >= conf.DJANGO_HOOKFLOW_MAX_CRASHES:
        last = claim.journal.last_recorded
        return Raised(WorkerCrashed(run.crashes, last))
    try:
        ctx = _context(workflow, claim, work)
    except BaseException as error:
        if stopping.stops(error):
            raise
        # What the run was given cannot be read any more: a row is gone.
        return Raised(error)
    return replay_function(workflow.function, ctx)


def _context(
    workflow: WorkflowWrapper, claim: Claim, work: Work
) -> WorkflowContext:
    run = claim.run
    started_at = run.started_at or clock.now()
    budget = timedelta(seconds=conf.DJANGO_HOOKFLOW_DELIVERY_BUDGET)
    session = Session(
        journal=claim.journal,
        recorder=WorkflowPersistence.recorder(run),
        policy=workflow.retry,
        idempotency_root=run.root_id,
        deadline=clock.now() + budget,
        crashes=run.crashes,
        now=started_at,
        work=work,
        on_record=partial(_recorded, run),
    )
    return WorkflowContext(
        run_id=run.run_id,
        workflow_id=run.workflow_id,
        data=loads(json.dumps(run.data)),
        started_at=started_at,
        session=session,
        step=StepManager(session),
    )


def _begin(run: WorkflowRun) -> None:
    """Tell of a new run, and ring for it, when its row is committed."""
    transaction.on_commit(
        partial(_signal, signals.run_triggered, run), using()
    )
    _send_after_commit([WorkflowPersistence.delivery_for(run, run.wake_token)])


def _send_after_commit(messages: Iterable[Delivery]) -> None:
    # A fast server answers before a slow commit would end.
    for message in messages:
        transaction.on_commit(partial(_send, message), using())


def _send(message: Delivery) -> None:
    """Send now, or leave it to the sweeper: it is due in the row.

    The row is committed, so whatever goes wrong here is no news to the
    caller, who would trigger it again.
    """
    try:
        get_transport().send(message)
    except TransportError as error:
        _signal(signals.send_failed, message, error=error)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        _signal(signals.send_failed, message, error=TransportError(said))


def _recorded(run: WorkflowRun, entry: Entry) -> None:
    _signal(signals.step_recorded, run, entry=entry)


def _signal(
    signal: Signal, about: WorkflowRun | Delivery, **facts: Any
) -> None:
    # A listener that fails must not fail the run; Django logs its error.
    signal.send_robust(
        WorkflowRun,
        workflow_id=about.workflow_id,
        run_id=about.run_id,
        **facts,
    )
