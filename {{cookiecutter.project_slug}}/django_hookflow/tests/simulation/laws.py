"""The laws: they hold at every moment, and when nothing is left to do."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from dataclasses import field
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from django_hookflow.clock import NEVER
from django_hookflow.conf import conf
from django_hookflow.journal import RUNS
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Event
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import children as kin
from django_hookflow.serialization import loads
from django_hookflow.states import CLAIMABLE
from django_hookflow.states import RECORDED
from django_hookflow.states import TERMINAL
from django_hookflow.states import Request
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus
from django_hookflow.steps.undo import ROLLED_BACK
from django_hookflow.tests.simulation.programs import BRIEF
from django_hookflow.tests.simulation.programs import OWN
from django_hookflow.tests.simulation.programs import Ask
from django_hookflow.tests.simulation.programs import Broken
from django_hookflow.tests.simulation.programs import ByHand
from django_hookflow.tests.simulation.programs import Call
from django_hookflow.tests.simulation.programs import Collapse
from django_hookflow.tests.simulation.programs import FanOut
from django_hookflow.tests.simulation.programs import Fatal
from django_hookflow.tests.simulation.programs import Invoke
from django_hookflow.tests.simulation.programs import Node
from django_hookflow.tests.simulation.programs import Once
from django_hookflow.tests.simulation.programs import Race
from django_hookflow.tests.simulation.programs import Spawn
from django_hookflow.tests.simulation.programs import Stumble
from django_hookflow.tests.simulation.programs import Tell
from django_hookflow.tests.simulation.programs import Wait
from django_hookflow.tests.simulation.programs import Work
from django_hookflow.tests.simulation.provider import Provider
from django_hookflow.tests.simulation.reference import INTERRUPTED
from django_hookflow.tests.simulation.reference import LATE
from django_hookflow.tests.simulation.reference import End
from django_hookflow.tests.simulation.reference import Failed
from django_hookflow.tests.simulation.reference import interpret
from django_hookflow.tests.simulation.world import FATALS
from django_hookflow.tests.simulation.world import LEDGER
from django_hookflow.tests.simulation.world import VERSIONS
from django_hookflow.tests.simulation.world import Violation
from django_hookflow.tests.simulation.world import World
from django_hookflow.tests.simulation.world import available_to
from django_hookflow.tests.simulation.world import runs_before
from django_hookflow.transports.memory import post

LEGAL = {str(status) for status in CLAIMABLE} | {
    "completed",
    "failed",
    "cancelled",
    "compensated",
    "paused",
}
EVENTS = ("wait_for_event", "first", "ask")
WAITS = (*EVENTS, "invoke", "map")

Rows = dict[Any, tuple[Any, ...]]


@dataclass
class Witness:
    """Looks after each action: what is final must stay as it is."""

    # Whether nobody goes on with a step after its lease has run out.
    is_exact: bool = True
    _runs: Rows = field(default_factory=dict)
    _entries: Rows = field(default_factory=dict)
    _asked: Rows = field(default_factory=dict)

    def look(self) -> None:
        runs = _ended_runs()
        entries = _recorded_entries()
        demand(
            self._runs.items() <= runs.items(),
            f"A run that had ended changed: {self._runs} is {runs}",
        )
        demand(
            self._entries.items() <= entries.items(),
            f"A recorded step changed: {self._entries} is {entries}",
        )
        asked = _asked_in_recorded_calls()
        demand(
            not self.is_exact or self._asked.items() <= asked.items(),
            f"A recorded call was made again: {self._asked} is {asked}",
        )
        self._runs, self._entries, self._asked = runs, entries, asked


def judge(world: World) -> None:
    """Every promise, when the history is over; raises Violation."""
    runs = list(WorkflowRun.objects.order_by("pk"))
    names = {run.run_id for run in runs}
    lost = world.notes.triggered - names
    demand(not lost, f"Runs were lost: {lost}")
    for run in runs:
        if run.is_branch:
            _judge_branch(world, run)
        else:
            _judge_run(world, run)
        _judge_undone_children(run)
    _judge_events(world)
    _judge_letters(runs)
    _judge_old_messages(world, runs)


def demand(fact: bool, otherwise: str) -> None:
    if not fact:
        raise Violation(otherwise)


def _judge_run(world: World, run: WorkflowRun) -> None:
    versions = world.versions[run.data["program"]]
    nodes: dict[str, Node] = {}
    for version in versions:
        nodes |= nodes_of(version)
    entries = {entry.step_id: entry for entry in run.step_executions.all()}
    waits = {
        entry.step_id: _received(entry)
        for entry in entries.values()
        if entry.kind in WAITS and entry.status in RECORDED
    }
    waits |= {
        entry.step_id: Failed(INTERRUPTED)
        for entry in entries.values()
        if entry.error_type == INTERRUPTED
    }
    before = runs_before(run)
    failed = _kept_failures(before[0]) if before else set()
    ends = [
        interpret(version, run.root_id, waits, len(before), failed)
        for version in versions
    ]
    # A step that was undone may have begun only.
    recorded = _executed(run.step_executions.all())
    _judge_attempts(world, run, nodes)
    _judge_once(world, run, nodes)
    _judge_timeouts(world, run, nodes)
    _judge_rows(run, recorded, nodes)
    _judge_children(run)
    _judge_fan_outs(run, nodes)
    _judge_races(entries)
    _judge_questions(world, run, entries)
    _judge_undone(world, run, entries)
    _judge_terms(world, run)
    if run.status == RunStatus.CANCELLED or run.requested == Request.CANCEL:
        _judge_cancelled(world, run, ends)
        return
    if run.status == RunStatus.COMPENSATED or run.rollback_failed:
        # It failed as its program says, or of its crashes.
        _judge_way(run, ends)
        return
    if run.error_type == "RunTimeout" and not run.error_step:
        _judge_way(run, ends)
        return
    if run.error_type == "WorkerCrashed" and not run.error_step:
        _judge_crashed(world, run, ends)
        return
    end = _end_of(world, run, recorded, ends)
    if end.status == RunStatus.FAILED:
        _judge_failed(run, nodes[end.at])
    if end.status == RunStatus.WAITING:
        _judge_waiting(run, entries[end.at], nodes[end.at])
    _judge_messages(world, run)


def _judge_races(entries: dict[str, StepExecution]) -> None:
    """Demand that no wait stays beside a race that is decided."""
    for entry in entries.values():
        race = entries.get(entry.step_id.rpartition(".")[0])
        demand(
            entry.kind != "racer"
            or (race is not None and race.status not in RECORDED),
            f"{entry} is {entry.status}, and its race is decided",
        )


def _judge_questions(
    world: World, run: WorkflowRun, entries: dict[str, StepExecution]
) -> None:
    """An answer that was accepted counts, and no question outlives its wait.

    A run that ended before it has come to an answer left it.
    """
    for question in run.questions.all():
        entry = entries[question.step_id]
        ended = run.status in TERMINAL
        expected = {
            "open": not ended and entry.status == StepStatus.WAITING,
            "answered": entry.result == question.answer
            or (ended and entry.status not in RECORDED),
            "expired": entry.status == StepStatus.FAILED
            or (ended and entry.status not in RECORDED),
            "closed": ended and entry.status not in RECORDED,
        }
        demand(
            expected[question.status],
            f"{run} is {run.status}, {entry} {entry.status} with "
            f"{entry.result}, and {question.pk} is {question.status}",
        )
        data = world.notes.answers.get(question.pk)
        demand(
            data is None or data in str(question.answer),
            f"{question.pk} accepted {data}, and has {question.answer}",
        )


def _judge_undone_children(run: WorkflowRun) -> None:
    """A run that was stopped has undone what its children have done."""
    stopped = {RunStatus.COMPENSATED, RunStatus.CANCELLED, RunStatus.FAILED}
    if run.status not in stopped or run.rollback_failed:
        return
    of = [run, *(runs_before(run) if run.is_retry else ())]
    done = kin.with_undo(WorkflowRun.objects.filter(parent__in=of))
    for child in done:
        undos = WorkflowRun.objects.filter(
            root_id=child.root_id, status=RunStatus.COMPENSATED
        )
        demand(undos.exists(), f"{run} did not undo what {child} has done")


def _is_undo(run: WorkflowRun) -> bool:
    return run.parent_step.endswith("~undo")


def _judge_terms(world: World, run: WorkflowRun) -> None:
    """It has the version it began with, begins in time, and ends in time."""
    version, delay = world.notes.terms.get(run.run_id, (run.version, 0))
    if run.origin is not None:
        version = run.origin.version
    demand(run.version == version, f"{run} is of {run.version}, not {version}")
    due = run.created_at + timedelta(seconds=delay)
    demand(
        run.started_at is None or run.started_at >= due,
        f"{run} started at {run.started_at} and was due at {due}",
    )
    limit = VERSIONS[version].timeout
    deadline = None if limit is None else due + limit
    ended = run.completed_at
    if _is_undo(run):
        deadline = None
    demand(
        run.deadline_at == deadline,
        f"{run} has the deadline {run.deadline_at}, not {deadline}",
    )
    demand(
        deadline is None or ended is not None,
        f"{run} has not ended, and its deadline was {deadline}",
    )
    is_late = bool(deadline and ended and ended >= deadline)
    demand(
        run.error_type != "RunTimeout" or bool(run.error_step) or is_late,
        f"{run} ended at {ended}, before its deadline {deadline}",
    )


def _end_of(
    world: World, run: WorkflowRun, recorded: set[str], ends: list[End]
) -> End:
    """The end that a run has come to: of its code then, or if open, now."""
    versions = world.versions[run.data["program"]]
    told = f"{run} is {run.status} with {run.result} after {sorted(recorded)}"
    for version, end in zip(versions, ends, strict=True):
        if run.status not in TERMINAL and end is not ends[-1]:
            continue
        # A deploy may have removed steps that were recorded before it.
        here = recorded & nodes_of(version).keys()
        found = (run.status, run.result, here)
        if found == (end.status, end.result, set(end.steps)):
            return end
    raise Violation(f"{told}, and should be {ends}")


def _kept_failures(before: WorkflowRun) -> set[str]:
    """The fatal steps that a run had recorded when its crashes ended it."""
    if before.error_step:
        return set()
    steps = before.step_executions.filter(kind="run", error_type__in=FATALS)
    recorded = steps.filter(status__in=RECORDED)
    return set(recorded.values_list("step_id", flat=True))


def _judge_crashed(world: World, run: WorkflowRun, ends: list[End]) -> None:
    """Its workers died as often as it takes, behind a step of its way."""
    _demand_deaths(world, run)
    _judge_way(run, ends)


def _demand_deaths(world: World, run: WorkflowRun) -> None:
    deaths = world.notes.interrupted[run.run_id]
    demand(
        run.status == RunStatus.FAILED
        and deaths >= conf.DJANGO_HOOKFLOW_MAX_CRASHES,
        f"{run} was given up after {deaths} deaths",
    )


def _judge_cancelled(world: World, run: WorkflowRun, ends: list[End]) -> None:
    """Only a run that was to be is cancelled, or whose parent has ended."""
    left = run.parent is not None and run.parent.status in TERMINAL
    demand(
        left or run.run_id in world.notes.cancelled,
        f"{run} was cancelled, and its parent {run.parent} has not ended",
    )
    demand(run.status in TERMINAL, f"{run} was cancelled, and goes on")
    if run.status != RunStatus.COMPLETED:
        _judge_way(run, ends)


def _judge_undone(
    world: World, run: WorkflowRun, entries: dict[str, StepExecution]
) -> None:
    """Demand that a rollback undid each step once, the last one first."""
    undos = [entry for entry in entries.values() if entry.kind == "undo"]
    undos.sort(key=lambda entry: entry.position)
    undone = [entries[entry.step_id.removesuffix("~undo")] for entry in undos]
    for entry, undo in zip(undone, undos, strict=True):
        demand(
            (undo.status, entry.status == "compensated")
            in {("completed", True), ("failed", False)},
            f"{run} has {entry} {entry.status}, and {undo} {undo.status}",
        )
    left = [
        entry
        for entry in entries.values()
        if entry.undo and entry.status != "compensated"
    ]
    rolled_back = run.status == RunStatus.COMPENSATED or run.rollback_failed
    if run.rollback_failed and "'rollback'" in run.error_message:
        _demand_deaths(world, run)
    elif rolled_back:
        failed = [entry for entry in undone if entry in left]
        demand(left == failed, f"{run} did not undo {left}, only {undone}")
        demand(
            bool(failed) == run.rollback_failed,
            f"{run} is {run.status}, and could not undo {failed}",
        )
    else:
        demand(not undos, f"{run} is {run.status}, and undid {undone}")
        demand(
            run.status not in {RunStatus.FAILED, RunStatus.CANCELLED}
            or not left,
            f"{run} is {run.status}, and did not undo {left}",
        )
    # Only what waits to be tried again, or died, was not executed.
    order = [(entry.executed_at or NEVER, entry.position) for entry in undone]
    if run.origin is None:  # else it goes on with those that had failed
        demand(
            order == sorted(order, reverse=True),
            f"{run} undid {undone}, which ended at {order}",
        )


def _judge_way(run: WorkflowRun, ends: list[End]) -> None:
    """Demand that the steps of a run that was ended are on its way."""
    steps = run.step_executions.filter(status__in=RECORDED)
    recorded = list(
        steps.exclude(kind="undo")
        .exclude(executed_at=None)  # it may have happened, and was undone
        .order_by("position")
        .values_list("step_id", flat=True)
    )
    demand(
        len(ends) > 1 or recorded == list(ends[0].steps[: len(recorded)]),
        f"{run} recorded {recorded} before it was ended, not {ends}",
    )


def _judge_children(run: WorkflowRun) -> None:
    """Each invoked run has ended as its parent has recorded it."""
    invoked = run.children.filter(has_ticket=None)
    children = {child.parent_step: child for child in invoked}
    entries = run.step_executions.filter(kind="invoke")
    for entry in entries.filter(status__in=RECORDED):
        if entry.error_message == ROLLED_BACK.message:
            continue  # it did not wait any more
        child = children.get(entry.step_id)
        if child is None:  # the run that this one goes on for had it
            demand(run.origin is not None, f"{run} never began {entry}")
            continue
        expected = (
            ("completed", "completed", child.result)
            if child.status == "completed"
            else (child.status, "failed", None)
        )
        status = entry.status
        if status == StepStatus.COMPENSATED and child.status == "completed":
            status = StepStatus.COMPLETED
        found = (child.status, status, entry.result)
        demand(found == expected, f"{run} has {found} of {child}")
        demand(
            entry.error_type == child.error_type,
            f"{run} has {entry.error_type} of {child}: {child.error_type}",
        )
    for child in children.values():
        demand(
            child.status in TERMINAL or run.status not in TERMINAL,
            f"{run} has ended, and {child} is {child.status}",
        )
        demand(
            child.status not in TERMINAL or child.sweep_at is None,
            f"{child} has ended, and is due at {child.sweep_at}",
        )


def _judge_fan_outs(run: WorkflowRun, nodes: dict[str, Node]) -> None:
    """Each fan-out ended as its branches had, and they are at rest."""
    for child in run.children.filter(has_ticket__isnull=False):
        demand(
            child.status in TERMINAL or run.status not in TERMINAL,
            f"{run} has ended, and branch {child} is {child.status}",
        )
        demand(
            child.status not in TERMINAL
            or (child.sweep_at, child.has_ticket) == (None, False)
            or child.status != "completed",
            f"Branch {child} has ended, and is due at {child.sweep_at}",
        )
    for entry in run.step_executions.filter(kind="map"):
        node = nodes.get(entry.step_id)
        if entry.status in RECORDED and isinstance(node, FanOut):
            _judge_fan_out(run, node, entry)


def _judge_fan_out(
    run: WorkflowRun, node: FanOut, entry: StepExecution
) -> None:
    children = list(
        run.children.filter(parent_step=node.id).order_by("branch")
    )
    if not children:  # the run that this one goes on for had them
        demand(run.origin is not None, f"{run} never began {entry}")
        return
    numbers = [child.branch for child in children]
    demand(numbers == list(range(node.width)), f"{run} has {numbers}")
    enough = node.width if node.enough is None else node.enough
    tolerate = node.tolerate
    if tolerate is None:
        tolerate = node.width - enough
    failed = [child for child in children if child.status != "completed"]
    if entry.error_message == ROLLED_BACK.message:
        return  # it did not wait any more
    if entry.error_type:
        demand(len(failed) > tolerate, f"{run} failed of {entry}: {failed}")
        return
    results, errors = entry.result["results"], entry.result["errors"]
    completed = node.width - len(errors)
    demand(
        completed >= enough or len(errors) <= tolerate,
        f"{run} recorded {entry.result} of {node}",
    )
    for child in children:
        if str(child.branch) not in errors:
            found = child.status, results[child.branch]
            expected = "completed", child.result
            demand(found == expected, f"{run} has {found} of {child}")


def _judge_branch(world: World, run: WorkflowRun) -> None:
    """It ended, as its node says, and did its work exactly once."""
    parent = run.parent
    assert parent is not None
    demand(run.status in TERMINAL, f"Branch {run} is {run.status} for ever")
    nodes: dict[str, Node] = {}
    for version in world.versions[parent.data["program"]]:
        nodes |= nodes_of(version)
    node = nodes[run.parent_step.removesuffix("~undo")]
    assert isinstance(node, FanOut)
    is_broken = run.branch in node.broken
    if run.status == "completed":
        done = f"{node.id}[{run.branch}] done"
        demand(run.result == done, f"Branch {run} returned {run.result}")
        demand(not is_broken, f"Branch {run} of {node} completed")
    is_known = run.status != "failed" or is_broken
    if not is_known:
        _demand_no_other(run)
    rows = _ledger(run.root_id)
    work = run.step_executions.filter(step_id="work", status__in=RECORDED)
    ever = StepExecution.objects.filter(
        workflow_run__root_id=run.root_id,
        step_id="work",
        status__in=RECORDED,
    )
    if node.atomic:
        demand(
            rows["work"] == ever.values("executed_at").distinct().count(),
            f"Branch {run} worked {rows} times",
        )
    elif work.exists() or run.status == "completed":
        demand(rows["work"] >= 1, f"Branch {run} never worked")
    undone = work.filter(status="compensated").exists()
    demand(
        undone == bool(rows["work~undo"] and work.exists()) or not undone,
        f"Branch {run} was undone: {rows}",
    )
    if node.undo and run.status in {"failed", "cancelled"}:
        demand(
            run.rollback_failed or not work.filter(undo__gt="").exists(),
            f"Branch {run} is {run.status}, and was not undone",
        )


def _demand_no_other(run: WorkflowRun) -> None:
    """Demand that a branch which failed was given up after its crashes."""
    demand(
        run.error_type in {"WorkerCrashed", "CompensationFailed"},
        f"Branch {run} failed of {run.error_type}: {run.error_message}",
    )


def _judge_failed(run: WorkflowRun, node: Node) -> None:
    """It failed of what its program says, under the name of that."""
    if isinstance(node, Invoke):
        entry = run.step_executions.get(step_id=node.id)
        expected = (entry.error_type, 1)
        found: tuple[Any, ...] = (run.error_type, run.attempts)
    elif isinstance(node, Collapse):
        expected = ("ConnectionError", OWN.retries + 1)
        found = (run.error_type, run.attempts)
    else:
        assert isinstance(node, Fatal)
        expected = (node.error.__name__, 1)
        found = (run.error_type, run.attempts)
    demand(found == expected, f"{run} failed of {found}, not {expected}")


def _judge_attempts(
    world: World, run: WorkflowRun, nodes: dict[str, Node]
) -> None:
    """A step gives up after its attempts, and deaths are among them."""
    tried = world.notes.tried
    for entry in run.step_executions.filter(kind="run", status="failed"):
        node = nodes[entry.step_id]
        if isinstance(node, Once):
            continue
        assert isinstance(node, Broken | Fatal)
        last = node.error in {ConnectionError, TimeoutError}
        least = BRIEF.retries + 1 if last else 1
        demand(
            entry.attempts >= least,
            f"{run} gave up {entry} after {entry.attempts} attempts",
        )
        times = tried[run.run_id, entry.step_id]
        if times:  # else it is the copy of a replay
            most = times + world.notes.interrupted[run.run_id]
            least = times - world.notes.unwritten[run.run_id]
            demand(
                least <= entry.attempts <= most,
                f"{run} tried {entry} {times} times, not {entry.attempts}",
            )


def _judge_once(
    world: World, run: WorkflowRun, nodes: dict[str, Node]
) -> None:
    """It began at most once, and was interrupted only if a worker was."""
    for name, node in nodes.items():
        if not isinstance(node, Once):
            continue
        times = sum(
            count
            for (run_id, step), count in world.notes.tried.items()
            if step == name and root_of(run_id) == run.root_id
        )
        demand(times <= 1, f"{run} began {name} {times} times")
        entry = run.step_executions.filter(step_id=name).first()
        if entry is None or entry.status not in RECORDED:
            continue
        demand(
            entry.attempts == 1,
            f"{run} counts {entry.attempts} attempts of {name}",
        )
        if entry.error_type != INTERRUPTED:
            demand(times == 1, f"{run} never began {name}")
            continue
        runs = [run.run_id, *(before.run_id for before in runs_before(run))]
        reasons = sum(
            world.notes.interrupted[run_id] + world.notes.unwritten[run_id]
            for run_id in runs
        )
        demand(reasons > 0, f"{run} gave up {name} without a reason")


def root_of(run_id: str) -> str:
    return WorkflowRun.objects.get(run_id=run_id).root_id


def _judge_timeouts(
    world: World, run: WorkflowRun, nodes: dict[str, Node]
) -> None:
    """A result that came after its timeout is not recorded."""
    for name, node in nodes.items():
        if not isinstance(node, Work) or node.timeout is None:
            continue
        done = run.step_executions.filter(step_id=name, status="completed")
        began = world.notes.begun.get((run.run_id, name))
        for entry in done if began else ():
            took = (entry.executed_at - began).total_seconds()
            demand(
                took <= node.timeout, f"{run} recorded {name} after {took} s"
            )


def _judge_waiting(run: WorkflowRun, entry: StepExecution, node: Node) -> None:
    """It may wait for ever only for an event that was never sent."""
    if isinstance(node, Invoke):
        child = run.children.get(parent_step=entry.step_id)
        demand(
            child.status not in TERMINAL,
            f"{run} waits for {child}, which has ended",
        )
        return
    demand(
        isinstance(node, Wait | Ask | Race),
        f"{run} waits for the branches of {entry}",
    )
    assert isinstance(node, Wait | Ask | Race)
    if isinstance(node, Race):
        waits, timeout = node.waits, node.seconds
    elif isinstance(node, Ask):
        waits, timeout = (node.wait,), node.timeout
    else:
        waits, timeout = (node,), node.timeout
    demand(timeout is None, f"{run} waits beyond its timeout")
    for wait in waits:
        there = available_to(run.run_id, wait)
        demand(not there, f"{run} waits for {entry} and {there} is there")
    demand(
        (run.wake_at, run.sweep_at, run.lease_token) == (None, None, ""),
        f"{run} waits for an event and is due at {run.wake_at}",
    )


def _judge_rows(
    run: WorkflowRun, recorded: set[str], nodes: dict[str, Node]
) -> None:
    """Atomic steps left exactly their row, the others at least one."""
    rows = _ledger(run.root_id)
    undone = run.step_executions.filter(undo=RUNS)
    of_runs = set(undone.values_list("step_id", flat=True))
    for name in recorded:
        if name.endswith("~undo"):
            is_own = name.removesuffix("~undo") not in of_runs
            demand(rows[name] >= is_own, f"{run} never did {name}")
            continue
        node = nodes[name]
        if isinstance(node, Spawn | Tell) or (
            isinstance(node, Work) and node.atomic
        ):
            demand(rows[name] == 1, f"{run} did {name} {rows[name]} times")
        elif isinstance(node, Work | Stumble | ByHand):
            demand(rows[name] >= 1, f"{run} never did {name}")
        elif isinstance(node, Call):
            asked = Provider.asked[f"{run.root_id}:{name}"]
            demand(asked > node.failures, f"{run} called {name} {asked} times")
    for name in rows.keys() - _recorded_in_all(run.root_id):
        if name.endswith("~undo"):
            continue
        node = nodes[name]
        atomic = isinstance(node, Spawn | Tell) or getattr(
            node, "atomic", False
        )
        demand(not atomic, f"{run} left rows of {name}, which is not done")


def _recorded_in_all(root_id: str) -> set[str]:
    """The steps that a run or its replays have recorded."""
    steps = StepExecution.objects.filter(workflow_run__root_id=root_id)
    return _executed(steps)


def _executed(steps: QuerySet[StepExecution]) -> set[str]:
    recorded = steps.filter(status__in=RECORDED, executed_at__isnull=False)
    return set(recorded.values_list("step_id", flat=True))


def _judge_messages(world: World, run: WorkflowRun) -> None:
    sent = len(world.network.sent.get(run.run_id, ()))
    demand(
        sent <= run.messages,
        f"{run} counts {run.messages} messages and sent {sent}",
    )


def _judge_events(world: World) -> None:
    """Each is there once, and at most one wait has had it."""
    events = list(Event.objects.select_related("consumed_by"))
    serials = Counter(event.event_id for event in events)
    missing = world.notes.told.keys() - serials.keys()
    demand(not missing, f"Events were lost: {missing}")
    demand(max(serials.values(), default=1) == 1, f"Doubled: {serials}")
    waits = {  # those of a replay are copies
        (entry.workflow_run.root_id, entry.step_id, str(_consumed(entry)))
        for entry in StepExecution.objects.select_related("workflow_run")
        if entry.kind in EVENTS
        and entry.status == "completed"
        and _consumed(entry) is not None
    }
    received = Counter((root_id, data) for root_id, _, data in waits)
    consumed = Counter(
        (event.consumed_by.root_id, str(event.data))
        for event in events
        if event.consumed_by is not None
    )
    demand(
        received == consumed,
        f"Received were {received}, and consumed {consumed}",
    )
    twice = Counter(
        data for _, data in received.elements() if data != "news-1"
    )
    demand(max(twice.values(), default=1) == 1, f"Consumed twice: {twice}")


def _judge_letters(runs: list[WorkflowRun]) -> None:
    letters = Counter(DeadLetterEntry.objects.values_list("run_id", flat=True))
    failed = Counter(
        run.run_id
        for run in runs
        if run.status == "failed" and run.parent_id is None
    )
    demand(letters == failed, f"{failed} failed; dead letters are {letters}")
    again = [run for run in runs if run.origin_id is not None]
    replays = {run.run_id: run for run in again if run.parent_id is None}
    replayed = DeadLetterEntry.objects.filter(is_replayed=True)
    begun = Counter(replayed.values_list("replayed_as", flat=True))
    demand(
        begun == Counter(replays.keys()),
        f"Of the letters {begun} were begun again; there are {replays}",
    )
    for letter in replayed:
        replay = replays[letter.replayed_as]
        demand(
            replay.origin_id == letter.workflow_run_id,
            f"{replay} goes on for {replay.origin}, not for {letter}",
        )
    for run in again:
        _judge_copies(run)


def _judge_copies(replay: WorkflowRun) -> None:
    """Demand that a replay has the ended steps as they were."""
    failed = replay.origin
    assert failed is not None
    is_done = failed.status == "completed" and not _is_undo(replay)
    if replay.is_branch and is_done:
        demand(replay.result == failed.result, f"{replay} is not {failed}")
        return
    before = _ended_steps(failed)
    before.pop(failed.error_step, None)  # what it failed of is tried again
    if failed.rollback_failed:
        before = {k: v for k, v in before.items() if not _failed_undo(k, v)}
    there = _ended_steps(replay)
    demand(
        failed.root_id == replay.root_id and before.items() <= there.items(),
        f"{replay} has {there}, and {failed} had {before}",
    )


def _ended_steps(run: WorkflowRun) -> Rows:
    ended = run.step_executions.filter(executed_at__isnull=False)
    return {
        step.step_id: (
            step.result,
            step.error_type,
            step.error_message,
            step.position,
            step.attempts,
            step.executed_at,
        )
        for step in ended
    }


def _failed_undo(step_id: str, row: tuple[Any, ...]) -> bool:
    return step_id.endswith("~undo") and bool(row[1])


def _judge_old_messages(world: World, runs: list[WorkflowRun]) -> None:
    """Demand that old messages of an ended run are stale, and harmless."""
    witness = Witness()
    witness.look()
    with world.at_rest():
        for run in runs:
            if run.status not in TERMINAL:
                continue
            for delivery in world.network.sent.get(run.run_id, ()):
                response = post(delivery)
                answer = response.status_code, json.loads(response.getvalue())
                expected = 200, {"status": "stale", "run_id": run.run_id}
                demand(answer == expected, f"{run} answers {answer}")
    witness.look()
    demand(not world.network.due(), "An old message asked for another")


def nodes_of(program: tuple[Node, ...]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for node in program:
        found[node.id] = node
        found |= nodes_of(getattr(node, "fallback", ()))
    return found


def _received(entry: StepExecution) -> object:
    if entry.kind not in EVENTS and entry.error_type:
        return Failed(entry.error_type)
    if entry.kind == "map":
        errors = entry.result["errors"]
        return [
            errors[str(place)][0] if str(place) in errors else result
            for place, result in enumerate(entry.result["results"])
        ]
    if entry.status == StepStatus.FAILED:
        return LATE
    if entry.kind == "ask":
        return loads(json.dumps(entry.result)).data
    return entry.result


def _consumed(entry: StepExecution) -> object:
    """The event of a completed wait or race; None if a time has won it."""
    if entry.kind == "first":
        return entry.result["$tuple"][1]
    return entry.result


def _ended_runs() -> Rows:
    rows = _select(
        "SELECT run_id, status, result, completed_at, wake_token "
        "FROM django_hookflow_workflowrun"
    )
    strange = {status for _, status, *_ in rows} - LEGAL
    demand(not strange, f"No run may be {strange}")
    return {row[0]: row[1:] for row in rows if row[1] in TERMINAL}


def _recorded_entries() -> Rows:
    rows = _select(
        "SELECT workflow_run_id, step_id, result, error_type, "
        "executed_at, position FROM django_hookflow_stepexecution "
        "WHERE executed_at IS NOT NULL"
    )
    return {row[:2]: row[2:] for row in rows}


def _asked_in_recorded_calls() -> Rows:
    """How often each provider was asked whose answer is recorded."""
    rows = _select(
        "SELECT r.root_id, e.step_id FROM django_hookflow_stepexecution e "
        "JOIN django_hookflow_workflowrun r ON r.id = e.workflow_run_id "
        "WHERE e.kind = 'call' AND e.executed_at IS NOT NULL"
    )
    return {row: (Provider.asked[":".join(row)],) for row in rows}


def _ledger(root_id: str) -> Counter[str]:
    rows = _select(f"SELECT root_id, step_id FROM {LEDGER}")
    return Counter(step for root, step in rows if root == root_id)


def _select(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
