"""Replay a run that rests, to see that its function is deterministic.

The function runs over the whole journal; nothing is executed or written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from traceback import walk_stack
from typing import Any
from typing import NoReturn

from django.core import mail

from django_hookflow import calls
from django_hookflow import clock
from django_hookflow.engine import call_of
from django_hookflow.exceptions import MisusedStep
from django_hookflow.exceptions import StepCompleted
from django_hookflow.exceptions import StepWaiting
from django_hookflow.exceptions import Suspension
from django_hookflow.inspection.export import FROM_OUTSIDE
from django_hookflow.journal import CONTINUED_AS
from django_hookflow.journal import PATCH
from django_hookflow.journal import RACER
from django_hookflow.journal import UNDO
from django_hookflow.journal import Child
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.journal import Journal
from django_hookflow.models import WorkflowRun
from django_hookflow.outcomes import Outcome
from django_hookflow.outcomes import Raised
from django_hookflow.outcomes import Returned
from django_hookflow.persistence import database
from django_hookflow.persistence import runs
from django_hookflow.states import RunStatus
from django_hookflow.steps.session import Session
from django_hookflow.testing.failures import Diverged
from django_hookflow.testing.timeline import timeline
from django_hookflow.testing.transactions import READS
from django_hookflow.tracing import Work
from django_hookflow.workflows.registry import get_workflow

ENGINE = str(Path(__file__).parents[1])
OURS = str(Path(__file__).parents[1] / "tests")  # workflows of our own tests
# Entries that the function does not ask for by their ids.
OTHERS = (PATCH, RACER, UNDO)
SHOWN = 80  # characters of a statement


class Difference(Suspension):
    """Ends a replay that has come to something else than before."""

    def __init__(self, what: str, place: str) -> None:
        super().__init__()
        self.what = what
        self.place = place


class Replay(Session):
    """A session in which nothing is done.

    A new step may look at what it was given, and refuse it, as it may have
    done before; what would act or write is a difference.
    """

    is_ended: bool  # from outside, before its function did
    is_misused: bool  # it failed since its function breaks a rule
    fresh: str  # the new step

    __slots__ = ("fresh", "is_ended", "is_misused")

    def ask(self, step_id: str, kind: str) -> Entry | None:
        entry = self.journal.get(step_id)
        may_differ = self.is_misused or step_id in self._asked
        if entry is not None and entry.kind != kind and not may_differ:
            self.differ(
                f"Step {step_id!r} is recorded as {entry.kind!r} and was "
                f"asked for as {kind!r}"
            )
        return super().ask(step_id, kind)

    def begin(self, step_id: str, kind: str, prior: Entry | None) -> Entry:
        if self.way or prior is not None:
            self.suspend(StepWaiting())
        if self.is_ended:
            self.suspend(StepCompleted())
        self.fresh = step_id
        return super().begin(step_id, kind, prior)

    def wait(self, entry: Entry, *rest: Any, **others: Any) -> NoReturn:
        if entry.has_row:
            super().wait(entry, *rest, **others)
        self.act()

    def act(self, *_: object) -> NoReturn:
        """End the replay where a new step would do something."""
        self.differ(f"A new step {self.fresh!r} appeared")

    def differ(self, what: str) -> NoReturn:
        self.suspend(Difference(what, place_of_author()))

    @property
    def is_replaying(self) -> bool:
        return True  # what it logs was logged before

    def missing(self, entries: Iterable[Entry]) -> Entry | None:
        """Return the first entry for which the function did not ask."""
        seen = self._asked | self._passed
        return next(
            (
                entry
                for entry in entries
                if entry.is_recorded
                and entry.kind not in OTHERS
                and entry.step_id not in seen
            ),
            None,
        )


class Refusing:
    """The recorder of a replay: nothing is written, nothing consumed."""

    must_stop = False

    def __init__(self) -> None:
        self._connection = database.connection()
        self._depth = len(self._connection.atomic_blocks)
        self.append: Callable[..., NoReturn]
        self.append_decision: Callable[..., NoReturn]
        self.stop_children: Callable[..., NoReturn]
        self.can_undo_children: Callable[..., NoReturn]

    @property
    def is_enclosed(self) -> bool:
        return len(self._connection.atomic_blocks) > self._depth

    def hold(self) -> None:
        """There is no lease to lose."""

    def atomic(self) -> AbstractContextManager[None]:
        return nullcontext()

    def children(self, step_id: str) -> list[Child]:
        return []

    def consume_event(self, entry: Entry) -> None:
        """None came."""

    def consume_first(self, entry: Entry, waits: Any) -> None:
        """None came."""


def check(run: WorkflowRun) -> None:
    """Raise Diverged if the function of a run does otherwise now.

    `run`: one that rests: no delivery of it is under way.
    """
    __tracebackhide__ = True
    found = _difference(run)
    if found is not None:
        told = timeline(run)
        raise Diverged(run.run_id, found.what, found.place, told) from None


def _difference(run: WorkflowRun) -> Difference | None:
    root, path = (run, ()) if run.has_ticket is None else runs.way_to(run)
    workflow = get_workflow(root.workflow_id, root.version)
    entries, recorder = list(runs.read(run)), Refusing()
    session = Replay(
        journal=Journal(entries),
        recorder=recorder,
        path=path,
        policy=workflow.retry,
        idempotency_root=run.root_id,
        depth=run.depth,
        deadline=clock.NEVER,
        crashes=0,
        now=root.started_at or clock.now(),
        work=Work(run, None),
        attributes={**run.attributes},
    )
    recorder.append = session.act
    recorder.append_decision = recorder.stop_children = session.act
    recorder.can_undo_children = session.act
    session.is_ended = _was_ended(run)
    session.is_misused = run.error_type == MisusedStep.__name__
    try:
        function, ctx = call_of(workflow, root, session)
    except Exception:
        return None  # it failed of that, and the function was not called
    if path:
        session.set_out()
    sent = len(_mails())
    with _without_writes(session), calls.through(partial(_called, session)):
        outcome = session.outcome_of(partial(function, ctx), "The result")
    if isinstance(session.suspension, Difference):
        return session.suspension
    found = _mailed(sent) or _other_end(run, session, entries, outcome)
    return Difference(found, workflow.place) if found else None


def _called(session: Replay, function: Callable[[], Any]) -> Any:
    """Call the function of the workflow, or a branch, and none of a step."""
    return function() if session.work.step is None else session.act()


def _was_ended(run: WorkflowRun) -> bool:
    """True if it did not go on until its function returned or raised."""
    going = (RunStatus.COMPLETED, RunStatus.WAITING, RunStatus.FAILED)
    return run.error_type in FROM_OUTSIDE or run.status not in going


def _other_end(
    run: WorkflowRun,
    session: Replay,
    entries: list[Entry],
    outcome: Outcome | None,
) -> str:
    missing = session.missing(entries)
    if missing is not None:
        return (
            f"Step {missing.step_id!r}, a {missing.kind!r} at position "
            f"{missing.position}, was missing"
        )
    if run.has_ticket is not None:
        outcome = session.branch
    elif isinstance(session.waiting, Returned):
        outcome = session.waiting  # it went on as a new run
    if run.status == RunStatus.COMPLETED:
        return _other_result(run, outcome)
    if run.status == RunStatus.FAILED and not session.is_ended:
        return _other_error(run, outcome)
    return ""


def _other_result(run: WorkflowRun, outcome: Outcome | None) -> str:
    if not isinstance(outcome, Returned):
        return f"The function did not return ({_said(outcome)})"
    was = run.result
    if isinstance(was, dict) and CONTINUED_AS in was and outcome.continued:
        return ""  # the id of the new run is another each time
    if json.loads(outcome.result) == was and not outcome.continued:
        return ""
    return f"The result was {outcome.result} and not {json.dumps(was)}"


def _other_error(run: WorkflowRun, outcome: Outcome | None) -> str:
    if outcome is None:
        return ""  # at a step that waited, and refused what came
    said = _said(outcome)
    return "" if said == run.error_type else f"It ended with {said}"


def _said(outcome: Outcome | None) -> str:
    if isinstance(outcome, Raised):
        return Failure.of(outcome.error).type
    return "a result" if isinstance(outcome, Returned) else "a wait"


def _mails() -> list[Any]:
    outbox: list[Any] = getattr(mail, "outbox", [])
    return outbox


def _mailed(before: int) -> str:
    """Say that mail was sent, and take it back."""
    sent = _mails()[before:]
    del _mails()[before:]
    if not sent:
        return ""
    return f"The mail {sent[0].subject!r} was sent outside of a step"


@contextmanager
def _without_writes(session: Replay) -> Iterator[None]:
    """Refuse the statements that a function writes by itself."""

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        if not READS.match(sql):
            session.differ(
                f"{sql.split(' VALUES')[0][:SHOWN]!r} was executed outside "
                "of a step"
            )
        return execute(sql, *rest)

    with database.connection().execute_wrapper(look):
        yield


def place_of_author() -> str:
    """Return the file and line of the innermost frame outside the engine."""
    return next(
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in walk_stack(None)
        if not _is_ours(frame.f_code.co_filename)
    )


def _is_ours(name: str) -> bool:
    if name.startswith(OURS):
        return False
    return name.startswith(ENGINE) or "/django/db/" in name
