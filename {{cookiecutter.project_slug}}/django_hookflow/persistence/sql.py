"""The statements of the hot path, in PostgreSQL's SQL and SQLite's.

    CREATE   a run, unless its run_id is taken
    CLAIM    its lease, for the delivery that carries its wake token
    JOURNAL  what it has recorded
    APPEND   an entry, while the lease is ours
    COMMIT   a verdict, which ends the lease

Written out because the ORM takes longer to build them each time than the
database takes to run them. A test compares the columns with the models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping
from functools import cache
from typing import Any
from typing import NamedTuple

from django_hookflow.states import CLAIMABLE
from django_hookflow.states import RECORDED
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus

RUNS = "django_hookflow_workflowrun"
STEPS = "django_hookflow_stepexecution"

RUN_COLUMNS = (
    "run_id",
    "workflow_id",
    "version",
    "owner",
    "subject",
    "root_id",
    "origin_id",
    "parent_id",
    "parent_step",
    "branch",
    "has_ticket",
    "depth",
    "status",
    "data",
    "result",
    "error_type",
    "error_message",
    "error_step",
    "wake_token",
    "wake_at",
    "deadline_at",
    "lease_token",
    "lease_until",
    "sweep_at",
    "requested",
    "attempts",
    "crashes",
    "deliveries",
    "messages",
    "attributes",
    "trace",
    "created_at",
    "started_at",
    "claimed_at",
    "completed_at",
)

STEP_COLUMNS = (
    "step_id",
    "kind",
    "status",
    "position",
    "result",
    "attempts",
    "deliveries",
    "started_at",
    "executed_at",
    "error_type",
    "error_message",
    "wake_at",
    "event_name",
    "event_match",
    "undo",
)
TIMES = frozenset(
    name
    for name in RUN_COLUMNS + STEP_COLUMNS
    if name.endswith(("_at", "_until"))
)
BEGUN = (*RECORDED, StepStatus.RUNNING)
# Those of a step that succeeded at once: the database knows the others.
PLAIN = STEP_COLUMNS.index("error_type")

# A conflict is no error, so the caller's transaction stays usable.
CREATE = (
    f"INSERT INTO {RUNS} ({', '.join(RUN_COLUMNS)})"  # noqa: S608
    f" VALUES ({', '.join(['%s'] * len(RUN_COLUMNS))})"
    " ON CONFLICT (run_id) DO NOTHING"
)


class Named(NamedTuple):
    """A statement that was written with names, as every driver takes it."""

    text: str  # with %s
    names: list[str]  # what they stand for, in order

    def row(self, values: Mapping[str, Any]) -> list[Any]:
        return [values[name] for name in self.names]


def _named(statement: str) -> Named:
    name = re.compile(r"%\((\w+)\)s")
    return Named(name.sub("%s", statement), name.findall(statement))


def _readable(column: str) -> str:
    """Times as text: what Django makes of each takes as long as the rest."""
    return f"CAST({column} AS text)" if column in TIMES else column


def _listed(statuses: Iterable[RunStatus | StepStatus]) -> str:
    return ", ".join(sorted(f"'{status.value}'" for status in statuses))


# One statement takes the lease, so two deliveries cannot both have it. The
# wake token stays: it is the message that carries it which revives the run
# if this worker dies. A leftover lease means that its worker died, or, without
# its token, that the database failed it. If a step was recorded under it, the
# run made progress, and the counts of crashes and failures restart. A run that
# was triggered with a delay does not start before that is over.
PROGRESS = (
    f"EXISTS (SELECT 1 FROM {STEPS} WHERE workflow_run_id = {RUNS}.id"  # noqa: S608
    f" AND executed_at >= {RUNS}.claimed_at)"
)
LEFT = "(lease_token <> '' OR lease_until IS NOT NULL)"
DIED = "CASE WHEN lease_token = '' THEN 0 ELSE 1 END"
CLAIM = _named(f"""
UPDATE {RUNS}
SET status = CASE
        WHEN status = 'compensating' THEN status ELSE 'running' END,
    crashes = CASE
        WHEN NOT {LEFT} THEN 0
        WHEN {PROGRESS} THEN {DIED}
        ELSE crashes + {DIED} END,
    attempts = CASE
        WHEN attempts > 0 AND {LEFT} AND {PROGRESS} THEN 0
        ELSE attempts END,
    lease_token = %(lease_token)s,
    lease_until = %(lease_until)s,
    sweep_at = %(sweep_at)s,
    started_at = COALESCE(started_at, CASE
        WHEN wake_at > created_at AND wake_at > %(now)s THEN wake_at
        ELSE %(now)s END),
    claimed_at = %(now)s,
    deliveries = deliveries + 1
WHERE run_id = %(run_id)s
  AND workflow_id = %(workflow_id)s
  AND wake_token = %(wake_token)s
  AND status IN ({_listed(CLAIMABLE)})
  AND (lease_until IS NULL OR lease_until <= %(now)s)
RETURNING id, {", ".join(map(_readable, RUN_COLUMNS))}
""")  # noqa: S608

# The next branch of a fan-out gets its turn, in the transaction in which
# another passes it on. The driver adds what skips one that is being taken.
NEXT_BRANCH = (
    f"SELECT id FROM {RUNS} WHERE parent_id = %(parent_id)s"  # noqa: S608
    " AND parent_step = %(parent_step)s AND has_ticket = FALSE"
    " AND status = 'pending' AND completed_at IS NULL"
    " ORDER BY branch LIMIT 1"
)


@cache
def take_next(skip_locked: str) -> Named:
    return _named(f"""
UPDATE {RUNS}
SET has_ticket = TRUE,
    status = %(status)s,
    lease_token = %(lease_token)s,
    lease_until = %(lease_until)s,
    sweep_at = %(sweep_at)s,
    wake_at = %(now)s,
    started_at = %(claimed_at)s,
    claimed_at = %(claimed_at)s,
    deliveries = deliveries + %(deliveries)s,
    messages = messages + %(messages)s
WHERE id = ({NEXT_BRANCH}{skip_locked})
RETURNING id, {", ".join(map(_readable, RUN_COLUMNS))}
""")  # noqa: S608


JOURNAL = (
    f"SELECT {', '.join(map(_readable, STEP_COLUMNS))} FROM {STEPS}"  # noqa: S608
    " WHERE workflow_run_id = %s ORDER BY position"
)


def _append(columns: tuple[str, ...]) -> str:
    return (
        f"INSERT INTO {STEPS} (workflow_run_id, {', '.join(columns)})"  # noqa: S608
        f" SELECT r.id{', %s' * len(columns)} FROM {RUNS} r"
        " WHERE r.id = %s AND r.lease_token = %s"
    )


# One statement checks the lease and writes the entry. The driver's lock is
# added to it.
APPEND = _append(STEP_COLUMNS)
APPEND_PLAIN = _append(STEP_COLUMNS[:PLAIN])

# A step that waited or began has a row already. What is recorded is never
# replaced.
REPLACE = (
    " ON CONFLICT (workflow_run_id, step_id) DO UPDATE SET "
    f"{', '.join(f'{c} = excluded.{c}' for c in STEP_COLUMNS[1:])}"
    f" WHERE {STEPS}.status NOT IN ({_listed(RECORDED)})"
)

# A run that goes on for another begins with the steps that had ended there, or
# had begun and may not begin again, but for the one that it failed of: a step
# that failed and was caught stays. Where it failed of its rollback, that is
# each undo that failed.
COPY = (
    f"INSERT INTO {STEPS} (workflow_run_id, {', '.join(STEP_COLUMNS)})"  # noqa: S608
    f" SELECT %s, {', '.join(STEP_COLUMNS)} FROM {STEPS}"
    f" WHERE workflow_run_id = %s AND status IN ({_listed(BEGUN)})"
    " AND NOT (status = 'failed' AND (step_id = %s OR kind = 'undo'))"
)

# A fork begins with the steps that its origin had recorded before one, but for
# those that were undone. What they did is undone by the origin alone.
KEPT = tuple(s for s in RECORDED if s != StepStatus.COMPENSATED)
FORKED = [name for name in STEP_COLUMNS if name != "undo"]
FORK = (
    f"INSERT INTO {STEPS} (workflow_run_id, {', '.join(FORKED)})"  # noqa: S608
    f" SELECT %s, {', '.join(FORKED)} FROM {STEPS}"
    f" WHERE workflow_run_id = %s AND position < %s"
    f" AND status IN ({_listed(KEPT)}) AND kind <> 'undo'"
)

COMMIT_TEXT = f"""
UPDATE {RUNS}
SET status = %(status)s,
    wake_token = %(wake_token)s,
    wake_at = %(wake_at)s,
    sweep_at = %(sweep_at)s,
    lease_token = '',
    lease_until = NULL,
    crashes = 0,
    attempts = %(attempts)s,
    messages = messages + %(messages)s,
    result = %(result)s,
    error_type = %(error_type)s,
    error_message = %(error_message)s,
    error_step = %(error_step)s,
    completed_at = %(completed_at)s
WHERE id = %(id)s AND lease_token = %(lease_token)s
"""  # noqa: S608
COMMIT = _named(COMMIT_TEXT)


@cache
def commit(*, passes: bool, attributes: bool) -> Named:
    """Return COMMIT with what few runs write.

    `passes`: that a branch gives up its ticket. Not in an UPDATE of its own:
    PostgreSQL checks the foreign key of a row that a transaction changes
    twice, which locks the parent. `attributes`: what the function has set.
    """
    also = ["has_ticket = FALSE"] * passes
    also += ["attributes = %(attributes)s"] * attributes
    return _named(
        COMMIT_TEXT.replace(
            "\nWHERE", "".join(f", {a}" for a in also) + "\nWHERE"
        )
    )
