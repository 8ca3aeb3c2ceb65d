"""Planted bugs: a simulation that does not find them proves nothing.

Each changes statements on their way to the database, so that the engine
itself stays unchanged.
"""

from __future__ import annotations

from typing import Any

from django_hookflow import stopping
from django_hookflow.persistence.sql import COMMIT
from django_hookflow.persistence.sql import RUN_COLUMNS
from django_hookflow.persistence.sql import STEP_COLUMNS
from django_hookflow.states import Request
from django_hookflow.tests.simulation.programs import EXITS
from django_hookflow.tests.simulation.world import Fault

TAKE = "SET has_ticket = TRUE"
ENTRY = "INSERT INTO django_hookflow_stepexecution"
ATTEMPTS = STEP_COLUMNS.index("attempts")
CLAIM = "UPDATE django_hookflow_workflowrun"
NEW_RUN = "INSERT INTO django_hookflow_workflowrun"
RUN = '"django_hookflow_workflowrun"'


class Outdated(BaseException):
    """The engine has another statement now: adapt the fault."""


stopping.let_pass(Outdated)


def replace(sql: str, old: str, new: str) -> str:
    """Change `sql` in one place, which must still be there."""
    if old not in sql:
        raise Outdated(f"{old!r} is not in {sql}")
    return sql.replace(old, new, 1)


def is_copy(sql: str) -> bool:
    """Whether a run that goes on for another gets the steps of that."""
    return sql.strip().startswith(ENTRY) and "SELECT %s, step_id" in sql


def is_claim(sql: str) -> bool:
    sql = sql.strip()
    return sql.startswith(CLAIM) and "RETURNING" in sql and TAKE not in sql


def append_without_fence(sql: str, params: Any) -> tuple[str, Any]:
    if sql.strip().startswith(ENTRY) and not is_copy(sql):
        fence = "r.lease_token = %s"
        sql = replace(sql, fence, f"({fence} OR 1 = 1)")
    return sql, params


def claim_in_spite_of_a_lease(sql: str, params: Any) -> tuple[str, Any]:
    if is_claim(sql):
        sql = replace(sql, "lease_until <= %s", "%s IS NOT NULL")
    return sql, params


def commit_without_fence(sql: str, params: Any) -> tuple[str, Any]:
    if sql.strip().startswith(CLAIM) and "lease_until = NULL" in sql:
        fence = "AND lease_token = %s"
        sql = replace(sql, fence, "AND (lease_token = %s OR 1 = 1)")
    return sql, params


def sleep_recorded_early(sql: str, params: Any) -> tuple[str, Any]:
    if sql.strip().startswith(ENTRY) and "sleep" in params:
        ended = {"waiting": "completed"}
        params = [ended.get(p, p) if isinstance(p, str) else p for p in params]
    return sql, params


def event_kept(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith('UPDATE "django_hookflow_event"'):
        sql += " AND 1 = 0"
    return sql, params


def event_wakes_no_run(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith(f'UPDATE {RUN} SET "wake_token"'):
        sql += " AND 1 = 0"
    return sql, params


def sweeper_sees_nothing(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith("SELECT") and '"sweep_at" <= ' in sql:
        sql = replace(sql, " WHERE ", " WHERE 1 = 0 AND ")
    return sql, params


def claim_without_token(sql: str, params: Any) -> tuple[str, Any]:
    if is_claim(sql):
        token = "wake_token = %s"
        sql = replace(sql, token, f"({token} OR 1 = 1)")
        sql = replace(sql, "status IN", "'running' IN")
    return sql, params


def replay_that_forgets(sql: str, params: Any) -> tuple[str, Any]:
    if is_copy(sql):
        sql += " AND 1 = 0"
    return sql, params


def end_that_is_not_seen(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith("SELECT") and '"parent_id") WHERE' in sql:
        sql = replace(sql, " WHERE ", " WHERE 1 = 0 AND ")
    return sql, params


def cancel_that_reaches_no_run(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith(f'UPDATE {RUN} SET "status"'):
        sql += " AND 1 = 0"
    return sql, params


def created(sql: str, params: Any, **columns: Any) -> list[Any]:
    """Return the values of a new run with other ones in some columns."""
    if not sql.startswith(NEW_RUN):
        return params
    values = dict(zip(RUN_COLUMNS, params, strict=True))
    changes = {name: change(values[name]) for name, change in columns.items()}
    return [*(values | changes).values()]


def run_of_another_version(sql: str, params: Any) -> tuple[str, Any]:
    return sql, created(sql, params, version=lambda version: 3 - version)


def deadline_forgotten(sql: str, params: Any) -> tuple[str, Any]:
    if sql.strip().startswith(CLAIM) and "lease_until = NULL" in sql:
        values = dict(zip(COMMIT.names, params, strict=True))
        if values["status"] == "waiting" and not values["error_type"]:
            values["wake_at"] = values["sweep_at"] = None
        params = COMMIT.row(values)
    return sql, params


def delay_forgotten(sql: str, params: Any) -> tuple[str, Any]:
    if is_claim(sql):
        sql = replace(sql, "wake_at > created_at", "wake_at < created_at")
    return sql, params


def replay_again(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith('UPDATE "django_hookflow_deadletterentry"'):
        params = [False if p is True else p for p in params]
    return sql, params


def attempts_counted_twice(sql: str, params: Any) -> tuple[str, Any]:
    if sql.strip().startswith(ENTRY) and "waiting" in params:
        params = [*params]
        params[ATTEMPTS] += 1
    return sql, params


def failures_not_reset(sql: str, params: Any) -> tuple[str, Any]:
    if sql.strip().startswith(CLAIM) and "lease_until = NULL" in sql:
        sql = replace(sql, "attempts = %s", "attempts = attempts + %s")
    return sql, params


def crash_counted_often(sql: str, params: Any) -> tuple[str, Any]:
    if sql.strip().startswith(CLAIM) and "RETURNING" in sql:
        sql = sql.replace("THEN 0 ELSE 1 END", "THEN 0 ELSE 9 END")
    return sql, params


def exit_under_another_name(sql: str, params: Any) -> tuple[str, Any]:
    if sql.strip().startswith(ENTRY) and "failed" in params:
        named = {error.__name__: "WorkerCrashed" for error in EXITS}
        params = [named.get(p, p) if isinstance(p, str) else p for p in params]
    return sql, params


def lease_of_the_ill_left(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith(f'UPDATE {RUN} SET "lease_token"'):
        sql += " AND 1 = 0"
    return sql, params


def renewal_without_fence(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith(f'UPDATE {RUN} SET "lease_until"'):
        fence = (
            '"django_hookflow_workflowrun"."lease_token" LIKE %s ESCAPE \'\\\''
        )
        sql = replace(sql, fence, f"({fence} OR 1 = 1)")
    return sql, params


def deploy_unseen(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith("SELECT") and '"claimed_at" <= ' in sql:
        sql = replace(sql, " WHERE ", " WHERE 1 = 0 AND ")
    return sql, params


def last_one_first(sql: str, params: Any) -> tuple[str, Any]:
    order = 'ORDER BY "django_hookflow_stepexecution"."id" ASC'
    if order in sql and " LIMIT " in sql:
        sql = replace(sql, order, order.replace(" ASC", " DESC"))
    return sql, params


def undo_not_marked(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith('UPDATE "django_hookflow_stepexecution" SET "status"'):
        sql += " AND 1 = 0"
    return sql, params


def rollback_forgotten(sql: str, params: Any) -> tuple[str, Any]:
    if is_claim(sql):
        kept = "WHEN status = 'compensating' THEN status"
        sql = replace(sql, kept, kept.replace("THEN status", "THEN 'running'"))
    return sql, params


def start_dropped(sql: str, params: Any) -> tuple[str, Any]:
    if sql.strip().startswith(ENTRY) and "running" in params:
        # Another statement that finds the run, as the entry would.
        sql = (
            "UPDATE django_hookflow_workflowrun SET crashes = crashes"
            " WHERE id = %s AND lease_token = %s"
        )
        params = params[-2:]
    return sql, params


def ticket_lost(sql: str, params: Any) -> tuple[str, Any]:
    if TAKE in sql:
        sql = replace(sql, "WHERE id = ", "WHERE 1 = 0 AND id = ")
    return sql, params


def branch_taken_twice(sql: str, params: Any) -> tuple[str, Any]:
    if TAKE in sql:
        sql = replace(sql, "AND status = 'pending'", "")
    return sql, params


def pause_that_no_worker_learns(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith(f'UPDATE {RUN} SET "requested"'):
        sql += " AND 1 = 0"
    return sql, params


def is_racer(sql: str, params: Any) -> bool:
    return sql.strip().startswith(ENTRY) and "racer" in params


def racer_dropped(sql: str, params: Any) -> tuple[str, Any]:
    if is_racer(sql, params):
        # Another statement that finds the run, as the entry would.
        sql = (
            "UPDATE django_hookflow_workflowrun SET crashes = crashes"
            " WHERE id = %s AND lease_token = %s"
        )
        params = params[-2:]
    return sql, params


def loser_left(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith('DELETE FROM "django_hookflow_stepexecution"'):
        sql += " AND 1 = 0"
    return sql, params


def resume_that_reaches_no_run(sql: str, params: Any) -> tuple[str, Any]:
    is_request = sql.startswith(f"UPDATE {RUN}") and '"requested" = ' in sql
    if is_request and not {Request.PAUSE, Request.CANCEL} & {*params}:
        sql += " AND 1 = 0"
    return sql, params


def child_not_undone(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith("SELECT") and 'U0."undo" = ' in sql:
        sql = replace(sql, "U0 WHERE ", "U0 WHERE 1 = 0 AND ")
    return sql, params


def question_left_open(sql: str, params: Any) -> tuple[str, Any]:
    if sql.startswith('UPDATE "django_hookflow_question" SET "status" = CASE'):
        sql += " AND 1 = 0"
    return sql, params


WORK = ("work",)
BROKEN = ("broken",)
STUMBLES = ("stumble",)
FAILS = ("work", "fatal", "work")
SAGAS = ("saga", "fatal", "work")
NESTED = ("saga", "invoke", "fatal")
LEAVES = ("invoke", "wait")  # a deploy removes the one, and the other waits
INVOKES = ("work", "invoke", "fatal", "wait")
WAITS = ("wait", "tell", "work")
RACES = ("race", "tell")

FAULTS = (
    Fault("append without its fence", append_without_fence, ("saga",)),
    Fault("claim in spite of a lease", claim_in_spite_of_a_lease, WORK),
    Fault("claim without the live token", claim_without_token, WORK),
    Fault("commit without its fence", commit_without_fence, WORK),
    Fault("sleep recorded when it begins", sleep_recorded_early, ("sleep",)),
    Fault("event kept after it was consumed", event_kept, WAITS),
    Fault("event that wakes no run", event_wakes_no_run, WAITS),
    Fault("sweeper that sees nothing", sweeper_sees_nothing, WORK),
    Fault("run of another version", run_of_another_version, WORK, True),
    Fault("deadline that is forgotten", deadline_forgotten, ("wait",), True),
    Fault("delay that is forgotten", delay_forgotten, WORK, True),
    Fault("replay that forgets a step", replay_that_forgets, FAILS),
    Fault("letter replayed again", replay_again, FAILS),
    Fault("join that wakes no run", event_wakes_no_run, INVOKES),
    Fault("end that is not seen", end_that_is_not_seen, INVOKES),
    Fault("cancel that reaches no run", cancel_that_reaches_no_run, LEAVES),
    Fault(
        "pause that no worker learns",
        pause_that_no_worker_learns,
        WORK,
        is_of_pauses=True,
    ),
    Fault(
        "resume that reaches no run",
        resume_that_reaches_no_run,
        WORK,
        is_of_pauses=True,
    ),
    Fault("attempts counted twice", attempts_counted_twice, BROKEN),
    Fault("failures kept across steps", failures_not_reset, STUMBLES),
    Fault("crash counted often", crash_counted_often, WORK),
    Fault("exit under another name", exit_under_another_name, BROKEN),
    Fault("lease of the ill left", lease_of_the_ill_left, WORK),
    Fault("undo that is not marked", undo_not_marked, SAGAS),
    Fault("rollback that is forgotten", rollback_forgotten, SAGAS),
    Fault("deploy that is not looked at", deploy_unseen, WORK),
    Fault("event for the last of a queue", last_one_first, WORK),
    Fault("renewal without its fence", renewal_without_fence, WORK),
    Fault("ticket that is lost", ticket_lost, ("map",)),
    Fault("branch that is taken twice", branch_taken_twice, ("map",)),
    Fault("child that is not undone", child_not_undone, NESTED),
    Fault("start that is not written", start_dropped, ("once", "work")),
    Fault("racer that is not written", racer_dropped, RACES),
    Fault("loser that stays", loser_left, RACES),
    Fault("question left open", question_left_open, ("ask", "work")),
)
