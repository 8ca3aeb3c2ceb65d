"""Runs: created, claimed, committed, woken."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from datetime import timedelta
from typing import Any
from typing import TypeAlias

from django.db.models import F
from django.db.models import Q
from django.db.models import QuerySet
from django.db.models import Value
from django.db.models.functions import Concat
from django.db.models.functions import Substr

from django_hookflow import clock
from django_hookflow import tracing
from django_hookflow.conf import conf
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import LeaseLost
from django_hookflow.exceptions import RunNotFound
from django_hookflow.journal import NO_FAILURE
from django_hookflow.journal import UNDO_SUFFIX
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.journal import Fork
from django_hookflow.journal import Journal
from django_hookflow.models import WorkflowRun
from django_hookflow.outcomes import Busy
from django_hookflow.outcomes import Stale
from django_hookflow.outcomes import Verdict
from django_hookflow.persistence import database
from django_hookflow.persistence import drivers
from django_hookflow.persistence import sql
from django_hookflow.states import CLAIMABLE
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus

FIELDS = ("id", *sql.RUN_COLUMNS)
TIMES = [name for name in FIELDS if name in sql.TIMES]
# Columns that a CREATE gets as JSON text.
JSON = [(name, sql.RUN_COLUMNS.index(name)) for name in ("data", "attributes")]
NO_DELAY = timedelta()
LONGEST_PAUSE = timedelta(hours=1)
SUFFIX_LENGTH = 8  # characters behind a token, of another name of its lease
WAITS = (RunStatus.WAITING, RunStatus.COMPENSATING)  # without a lease
STATUSES = {status.value: status for status in StepStatus}

ReadTime: TypeAlias = Callable[[str | None], datetime | None]


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that is ours until its lease ends, and its journal."""

    run: WorkflowRun
    journal: Journal
    # Whose function is called, and the way from there to a branch.
    root: WorkflowRun
    path: tuple[Fork, ...] = ()
    # Until when a worker goes on, which has taken it after another branch.
    until: datetime | None = None
    # Messages that a step of it asks for, to be sent.
    outbox: list[Delivery] = field(default_factory=list)


def rows() -> QuerySet[WorkflowRun]:
    return WorkflowRun.objects.using(database.using())


def new_run(
    *,
    run_id: str,
    workflow_id: str,
    version: int,
    owner: str,
    data: Any,
    subject: str | None = None,
    origin: WorkflowRun | None = None,
    delay: timedelta = NO_DELAY,
    timeout: timedelta | None = None,
) -> WorkflowRun:
    """Return a run that is due after a delay, not written yet.

    `origin`: the failed run that it goes on for. Where that failed of its
    rollback, it goes on with that. `timeout`: how long it may last from when
    it is due; None is for ever.
    """
    now = clock.now()
    due = clock.later(now, delay)
    run = WorkflowRun(
        run_id=run_id,
        workflow_id=workflow_id,
        version=version,
        owner=owner,
        subject=origin.subject if origin else subject,
        root_id=origin.root_id if origin else run_id,
        origin=origin,
        data=data,
        wake_token=database.new_token(),
        wake_at=due,
        deadline_at=None if timeout is None else clock.later(due, timeout),
        sweep_at=database.overdue_after(due),
        attributes=origin.attributes if origin else {},
        trace=tracing.carried(),
        created_at=now,
    )
    if origin is not None and origin.rollback_failed:
        run.status = RunStatus.COMPENSATING
        run.error_type = origin.error_type
        run.error_message = origin.error_message
    return run


def create(run: WorkflowRun) -> WorkflowRun | None:
    """Write a run; return the one that has its run_id already, if any.

    One that goes on for a failed one begins with the steps that had ended
    there.
    """
    values = [getattr(run, column) for column in sql.RUN_COLUMNS]
    for name, index in JSON:
        values[index] = json.dumps(getattr(run, name))
    if not drivers.execute(sql.CREATE, values):
        return rows().get(run_id=run.run_id)
    if run.origin is None:
        return None
    run.pk = rows().get(run_id=run.run_id).pk
    if run.is_retry:
        before = run.origin
        # A rollback tries none of its steps again.
        again = "" if before.rollback_failed else before.error_step
        drivers.execute(sql.COPY, (run.pk, before.pk, again))
    return None


def claim(delivery: Delivery, lease_token: str) -> Claim | Stale | Busy:
    """Take the lease of the run that `delivery` is for."""
    now = clock.now()
    until = now + timedelta(seconds=conf.DJANGO_HOOKFLOW_LEASE)
    values = {
        "lease_token": lease_token,
        "lease_until": until,
        "sweep_at": database.overdue_after(until),
        "now": now,
        "run_id": delivery.run_id,
        "workflow_id": delivery.workflow_id,
        "wake_token": delivery.token,
    }
    with database.fenced():
        row = drivers.fetch_one(sql.CLAIM.text, sql.CLAIM.row(values))
        if row is None:
            return _why_not(delivery, now)
        run = from_row(row)
        # The journal is empty at a run's very first claim, unless it goes on
        # for another: a claim whose answer was lost is a delivery, too.
        is_new = run.deliveries == 1 and run.origin_id is None
        journal = Journal(() if is_new else read(run))
        if run.has_ticket is None:
            return Claim(run, journal, run)
        return Claim(run, journal, *way_to(run))


def way_to(branch: WorkflowRun) -> tuple[WorkflowRun, tuple[Fork, ...]]:
    """Return the run whose function leads to a branch, and the way."""
    path: list[Fork] = []
    while branch.has_ticket is not None:
        parent = rows().get(children=branch.pk)
        journal = Journal(read(parent))
        step_id = branch.parent_step.removesuffix(UNDO_SUFFIX)
        fork = Fork(journal, parent.root_id, step_id, branch.branch)
        path.insert(0, fork)
        branch = parent
    return branch, tuple(path)


def beside(claim: Claim, sibling: WorkflowRun, until: datetime) -> Claim:
    """Return the claim of a run that is a branch of the same step."""
    *way, fork = claim.path
    last = fork._replace(branch=sibling.branch)
    entries = () if sibling.origin_id is None else read(sibling)
    return Claim(sibling, Journal(entries), claim.root, (*way, last), until)


def from_row(row: tuple[Any, ...]) -> WorkflowRun:
    """Return the run of a row that a statement returned."""
    read_time = drivers.driver().read_time
    values = dict(zip(FIELDS, row, strict=True))
    for name in TIMES:
        values[name] = read_time(values[name])
    for name in ("data", "result", "attributes"):
        values[name] = values[name] and json.loads(values[name])
    run = WorkflowRun.from_db(database.using(), FIELDS, list(values.values()))
    run.attributes_before = run.attributes
    return run


def read(run: WorkflowRun) -> Iterator[Entry]:
    """Return the journal of a run, in order.

    Results stay text: a replay decodes one when it comes to it.
    """
    with database.connection().cursor() as cursor:
        cursor.execute(sql.JOURNAL, [run.pk])
        rows = cursor.fetchall()
    read_time = drivers.driver().read_time
    return (_entry(row, read_time) for row in rows)


def _entry(row: tuple[Any, ...], read_time: ReadTime) -> Entry:
    (
        step_id, kind, status, position, result, attempts, deliveries,
        started_at, executed_at, error_type, error_message, wake_at,
        event_name, event_match, undo,
    ) = row  # fmt: skip
    has_row = True
    # By position, which takes half the time that names do.
    return Entry(
        step_id,
        kind,
        STATUSES[status],
        position,
        result,
        _failure(error_type, error_message),
        attempts,
        deliveries,
        read_time(started_at),
        read_time(executed_at),
        read_time(wake_at),
        event_name,
        event_match,
        undo,
        has_row,
    )


def _failure(kind: str, message: str) -> Failure | None:
    return Failure(type=kind, message=message) if kind else None


def park(run: WorkflowRun, failure: Failure) -> bool:
    """End a lease without the code of the run; True if that is news.

    The run stays due, and its row says why it does not move. The sweeper
    sends its message again, after as long as it has been due.
    """
    now = clock.now()
    pause = backoff(run.wake_at or now, now)
    is_news = (run.error_type, run.error_message) != (
        failure.type,
        failure.message,
    )
    why = {
        "status": RunStatus.WAITING,
        "error_type": failure.type,
        "error_message": failure.message,
    }
    if run.status == RunStatus.COMPENSATING:
        why = {}  # it says why it is rolled back
    with database.fenced():
        _ours(run).update(
            lease_token="",
            lease_until=None,
            sweep_at=now + pause,
            **why,
        )
    return is_news


def backoff(due: datetime, now: datetime) -> timedelta:
    """Return as long again as it has been due: 1, 2, 4, … up to 60 minutes."""
    least = database.overdue_after(now) or now
    return min(max(least - now, now - due), LONGEST_PAUSE)


def renew(run: WorkflowRun) -> bool:
    """Keep the lease for longer; False if it is not ours any more."""
    until = clock.now() + timedelta(seconds=conf.DJANGO_HOOKFLOW_LEASE)
    renewed = _ours(run).update(
        lease_until=until, sweep_at=database.overdue_after(until)
    )
    if renewed:
        run.lease_until = until
    return renewed > 0


def give_back(run_id: str, lease_token: str, failure: Failure | None) -> None:
    """Leave a lease alive, since the database failed and not this worker.

    It keeps its end: until then the database has time to recover, and
    nothing is executed again. `failure` is what the run says meanwhile.
    """
    why = {}
    if failure is not None:
        why = {"error_type": failure.type, "error_message": failure.message}
    lease = rows().filter(_named(lease_token), run_id=run_id)
    lease.update(lease_token="", **why)


def wake(run: WorkflowRun) -> Delivery | None:
    """Return a message for a waiting run, with a new token.

    None if it does not wait, or is due already: then its message is on its
    way, or the sweeper sends it.
    """
    now = clock.now()
    waiting = rows().filter(
        Q(wake_at=None) | Q(wake_at__gt=now), status__in=WAITS, lease_token=""
    )
    return make_due(run, waiting, now)


def make_due(
    run: WorkflowRun, among: QuerySet[WorkflowRun], due: datetime, **also: Any
) -> Delivery | None:
    """Return the message with which a run goes on at a time; a new one.

    None if it is not `among` some rows. `also`: other columns that change.
    """
    token = database.new_token()
    is_there = among.filter(pk=run.pk).update(
        wake_token=token,
        wake_at=due,
        sweep_at=database.overdue_after(due),
        messages=F("messages") + 1,
        **also,
    )
    return delivery_for(run, token, due) if is_there else None


def called(run_id: str) -> list[Delivery]:
    """Return the message with which a run looks whether it can go on.

    The live one again, unless the run waits.
    """
    run = rows().filter(run_id=run_id).first()
    if run is None:
        raise RunNotFound(run_id)
    return [wake(run) or delivery_for(run, run.wake_token, run.wake_at)]


def is_due(run: WorkflowRun, now: datetime) -> bool:
    """True if the message of a run is on its way, or for the sweeper."""
    return run.wake_at is not None and run.wake_at <= now


class RequestChanged(Exception):
    """Meanwhile the run was asked for something; it has the new request."""


def commit(
    run: WorkflowRun, verdict: Verdict, token: str, *, passes: bool = False
) -> None:
    """End the lease with a verdict.

    `passes`: whether a branch gives up its ticket.
    Raises LeaseLost if it is not ours, and RequestChanged if the verdict does
    not know what is asked of the run.
    """
    failure = verdict.failure or NO_FAILURE
    now = clock.now()
    due = verdict.wake_at
    if verdict.status == RunStatus.PAUSED:
        due = None
    elif verdict.is_final and run.parent_id:
        due = now  # until its parent knows of its end
    values = {
        "id": run.pk,
        "lease_token": run.lease_token,
        "status": verdict.status,
        "wake_token": token,
        "wake_at": verdict.wake_at,
        "sweep_at": database.overdue_after(due),
        "attempts": verdict.attempts,
        "messages": 1 if verdict.wake_at and due else 0,
        "result": verdict.result,
        "error_type": failure.type,
        "error_message": failure.message,
        "error_step": failure.step_id,
        "completed_at": now if verdict.is_final else None,
    }
    statement = sql.COMMIT
    changes = run.attributes != run.attributes_before
    if passes or changes:
        statement = sql.commit(passes=passes, attributes=changes)
        values["attributes"] = json.dumps(run.attributes)
    if drivers.execute(statement.text, statement.row(values)):
        return
    if not learn(run):
        raise LeaseLost
    raise RequestChanged


def learn(run: WorkflowRun) -> bool:
    """Read what a claimed run was asked for since; False if nothing was."""
    asked = _ours(run).exclude(lease_token=run.lease_token)
    found = asked.values_list("lease_token", "requested").first()
    if found is None:
        return False
    run.lease_token, run.requested = found
    return True


def due(run: WorkflowRun) -> Delivery:
    """Return the message of a run that has not been sent yet."""
    return delivery_for(run, run.wake_token)


def delivery_for(
    run: WorkflowRun, token: str, due: datetime | None = None
) -> Delivery:
    return Delivery(
        run_id=run.run_id,
        workflow_id=run.workflow_id,
        token=token,
        not_before=due,
    )


def hold(keys: Collection[int]) -> set[int]:
    """Keep runs from being deleted until the COMMIT; all else goes on.

    It waits for who has locked the rows. Returns the keys of those that are
    still there. SQLite has one writer anyway.
    """
    django = database.connection()
    if django.vendor != "postgresql":
        return set(keys)
    with django.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {sql.RUNS} WHERE id = ANY(%s)"  # noqa: S608
            " ORDER BY id FOR KEY SHARE",
            [list(keys)],
        )
        return {key for (key,) in cursor.fetchall()}


def following(run: WorkflowRun) -> WorkflowRun | None:
    """Return the run that goes on for another, if one does."""
    return WorkflowRun.objects.db_manager(database.using()).following(run)


def _ours(run: WorkflowRun) -> QuerySet[WorkflowRun]:
    return rows().filter(_named(run.lease_token), pk=run.pk)


def _named(lease_token: str) -> Q:
    """Return a condition: a lease of this token, whatever its name is now."""
    return Q(lease_token__startswith=lease_token[: database.TOKEN_LENGTH])


def another_name() -> Concat:
    """Return another name for a lease, whose run is asked for something.

    The next write of its owner finds no lease of the old name, and looks why.
    """
    token = Substr("lease_token", 1, database.TOKEN_LENGTH)
    return Concat(token, Value(secrets.token_hex(SUFFIX_LENGTH // 2)))


def _why_not(delivery: Delivery, now: datetime) -> Stale | Busy:
    run = rows().filter(run_id=delivery.run_id).first()
    if (
        run is None
        or run.workflow_id != delivery.workflow_id
        or run.wake_token != delivery.token
        or run.status not in CLAIMABLE
    ):
        return Stale()
    # The lease may have ended since: then the message comes again at once.
    left = (run.lease_until - now) if run.lease_until else timedelta()
    return Busy(max(0.0, left.total_seconds()))
