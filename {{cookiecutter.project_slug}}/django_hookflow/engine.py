"""Move runs: a delivery comes in, steps run, one verdict is written.

    claim → replay → settle → commit → send

What else can be done to runs is in operations/.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from datetime import timedelta
from typing import Any

from django_hookflow import clock
from django_hookflow import signals
from django_hookflow import stopping
from django_hookflow import tracing
from django_hookflow.ambience import in_its_own
from django_hookflow.conf import conf
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import BranchNotReached
from django_hookflow.exceptions import HookflowError
from django_hookflow.exceptions import LeaseLost
from django_hookflow.exceptions import OutcomeRefused
from django_hookflow.exceptions import RunTimeout
from django_hookflow.exceptions import WorkerCrashed
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.heartbeat import beating
from django_hookflow.heartbeat import give_back
from django_hookflow.journal import Failure
from django_hookflow.models import WorkflowRun
from django_hookflow.outcomes import Advance
from django_hookflow.outcomes import Cancelled
from django_hookflow.outcomes import NotYet
from django_hookflow.outcomes import Outcome
from django_hookflow.outcomes import OutOfBudget
from django_hookflow.outcomes import Parked
from django_hookflow.outcomes import Raised
from django_hookflow.outcomes import State
from django_hookflow.outcomes import Verdict
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.commits import Committed
from django_hookflow.persistence.commits import UndoLeft
from django_hookflow.persistence.database import is_ill
from django_hookflow.persistence.database import new_token
from django_hookflow.persistence.runs import Claim
from django_hookflow.persistence.runs import RequestChanged
from django_hookflow.replay import replay
from django_hookflow.replay import roll_back
from django_hookflow.sending import announce
from django_hookflow.sending import send
from django_hookflow.serialization import loads
from django_hookflow.settle import settle
from django_hookflow.states import Request
from django_hookflow.states import RunStatus
from django_hookflow.steps.session import Session
from django_hookflow.tracing import Work
from django_hookflow.workflows.context import StepManager
from django_hookflow.workflows.context import WorkflowContext
from django_hookflow.workflows.registry import get_workflow
from django_hookflow.workflows.wrapper import WorkflowWrapper

# The outcome of a run that was asked for something before its delivery.
AS_ASKED: dict[str, Outcome] = {
    Request.CANCEL: Cancelled(),
    Request.PAUSE: OutOfBudget(),
}


def advance(delivery: Delivery) -> Advance:
    """Move the run that a message is for as far as it goes.

    Raises LeaseLost when it is unknown what was written: send it again.
    """
    lease, run_id = new_token(), delivery.run_id
    try:
        answer, claim = in_its_own(_advance, delivery, lease)
        while claim is not None:
            run_id = claim.run.run_id
            _, claim = in_its_own(_advance, delivery, lease, claim)
        return answer
    except LeaseLost as lost:
        cause = lost.__cause__
        if cause is not None and is_ill(cause):
            give_back(run_id, lease, cause)
        raise


def _advance(
    delivery: Delivery, lease: str, taken: Claim | None = None
) -> tuple[Advance, Claim | None]:
    """Move the run of a message, or the branch that was taken after that.

    Returns what has become of it, and the branch to go on with, if any.
    """
    claim = taken or WorkflowPersistence.claim(delivery, lease)
    if not isinstance(claim, Claim):
        return claim, None
    budget = timedelta(seconds=conf.DJANGO_HOOKFLOW_DELIVERY_BUDGET)
    until = claim.until or clock.now() + budget
    try:
        workflow = get_workflow(claim.run.workflow_id, claim.run.version)
    except WorkflowNotFound as unknown:
        return _park(claim.run, unknown), None
    run = claim.run
    with tracing.delivery(run) as work:
        announce(signals.run_claimed, run, delivery=run.deliveries)
        with beating(run, work):
            try:
                outcome = _replay(workflow, claim, work, until)
            except BranchNotReached as unreached:
                return _park(run, unreached), None
            outcome, verdict, done = _commit(workflow, claim, outcome, until)
        error = getattr(outcome, "error", None)
        announce(signals.run_committed, run, verdict=verdict, error=error)
        for begun in done.begun:
            announce(signals.run_triggered, begun)
        for message in (*claim.outbox, *done.messages):
            send(message)
        for question in done.asked:
            announce(signals.question_asked, run, question=question)
        if done.taken is None:
            return verdict, None
    return verdict, WorkflowPersistence.claim_beside(claim, done.taken, until)


def _park(run: WorkflowRun, missing: HookflowError) -> Parked:
    """Leave a run due, for a process that has the code it needs."""
    is_news = WorkflowPersistence.park(run, Failure.of(missing))
    announce(signals.run_parked, run, error=missing, is_news=is_news)
    return Parked()


def _commit(
    workflow: WorkflowWrapper,
    claim: Claim,
    outcome: Outcome,
    until: datetime,
) -> tuple[Outcome, Verdict, Committed]:
    """Write the verdict over an outcome.

    Where the database refuses it, now and for ever, that is the outcome.
    """
    run, is_refused = claim.run, False
    has_undo = claim.journal.has_undo
    why = _why(run) if run.status == RunStatus.COMPENSATING else None
    while True:
        state = State(
            status=RunStatus(run.status),
            attempts=run.attempts,
            requested=Request(run.requested),
            has_undo=has_undo,
            is_child=run.parent_id is not None,
            failure=why,
            deadline=run.deadline_at,
        )
        verdict = settle(state, outcome, workflow.retry, clock.now())
        try:
            done = WorkflowPersistence.commit(
                run, verdict, claim.journal, until
            )
        except RequestChanged:
            continue
        except UndoLeft:
            has_undo = True
            continue
        except Exception as refusal:  # an ill database is a LeaseLost
            if is_refused:
                raise
            is_refused = True
            error = OutcomeRefused(run.run_id, refusal)
            error.__cause__ = refusal
            outcome = Raised(error)
            continue
        return outcome, verdict, done


def _replay(
    workflow: WorkflowWrapper, claim: Claim, work: Work, until: datetime
) -> Outcome:
    run, root, now = claim.run, claim.root, clock.now()
    rolls_back = run.status == RunStatus.COMPENSATING
    if run.requested and not rolls_back:
        return AS_ASKED[run.requested]
    # A rollback has no deadline.
    must_end_at = (not rolls_back and run.deadline_at) or clock.NEVER
    if now >= must_end_at:
        return Raised(RunTimeout(must_end_at))
    if run.crashes >= conf.DJANGO_HOOKFLOW_MAX_CRASHES:
        last = claim.journal.last_recorded
        return Raised(WorkerCrashed(run.crashes, last))
    if run.started_at is not None and run.started_at > now:
        return NotYet(run.started_at)
    session = Session(
        journal=claim.journal,
        recorder=WorkflowPersistence.recorder(run, claim.outbox),
        path=claim.path,
        policy=workflow.retry,
        idempotency_root=run.root_id,
        depth=run.depth,
        deadline=min(until, must_end_at),
        crashes=run.crashes,
        now=root.started_at or now,
        work=work,
        attributes=run.attributes,
        on_record=lambda entry: announce(
            signals.step_recorded, run, entry=entry
        ),
    )
    try:
        function, ctx = call_of(workflow, root, session)
    except BaseException as error:
        if stopping.stops(error):
            raise
        # What the run was given cannot be read any more: a row is gone, or
        # the type is another.
        return Raised(error)
    move = roll_back if rolls_back else replay
    try:
        return move(function, ctx, session)
    finally:
        run.attributes = session.attributes


def call_of(
    workflow: WorkflowWrapper, run: WorkflowRun, session: Session
) -> tuple[Callable[[WorkflowContext], Any], WorkflowContext]:
    """Return the function of a run, and what it gets in a pass that begins.

    Raises what reading its data does.
    """
    data = loads(json.dumps(run.data))
    if workflow.input is not None:
        data = workflow.input.read(data, f"The data of run {run.run_id!r}")
    ctx = WorkflowContext(
        run_id=run.run_id,
        workflow_id=run.workflow_id,
        version=run.version,
        owner=run.owner,
        data=data,
        started_at=session.now,
        step=StepManager(session),
        _session=session,
        _find=get_workflow,
    )
    is_typed = workflow.output is not None
    return workflow.checked if is_typed else workflow.function, ctx


def _why(run: WorkflowRun) -> Failure | None:
    """Return the failure for which a run is rolled back, if there is one."""
    if not run.error_type:
        return None
    return Failure(
        type=run.error_type,
        message=run.error_message,
        step_id=run.error_step,
    )
