"""Runs of workflows in a test: `hookflow.run(process_order, {…})`.

Everything happens in the process and the transaction of the test: no server,
no thread, no waiting. The engine's clock stands still unless the test moves
it, and each run that comes to rest is replayed, to see that its function is
deterministic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import contextmanager
from contextlib import suppress
from datetime import datetime
from datetime import timedelta
from typing import TYPE_CHECKING
from typing import Any

from django.db import DatabaseError
from django.db.models import Model
from django.test import override_settings

from django_hookflow import calls
from django_hookflow import clock
from django_hookflow import engine
from django_hookflow import signals
from django_hookflow import stopping
from django_hookflow import tracing
from django_hookflow.clock import Duration
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import WorkflowError
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.operations import maintenance
from django_hookflow.operations.control import cancel_run
from django_hookflow.operations.events import send_event
from django_hookflow.operations.questions import answer_question
from django_hookflow.operations.start import begin
from django_hookflow.outcomes import Parked
from django_hookflow.outcomes import Verdict
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.states import QuestionStatus
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus
from django_hookflow.testing import failures
from django_hookflow.testing import replays
from django_hookflow.testing.faults import DELIVERY
from django_hookflow.testing.faults import Faults
from django_hookflow.testing.post import KitTransport
from django_hookflow.testing.post import Post
from django_hookflow.testing.stubs import Failing
from django_hookflow.testing.stubs import Stub
from django_hookflow.testing.timeline import steps_of
from django_hookflow.testing.timeline import timeline
from django_hookflow.testing.transactions import committing
from django_hookflow.testing.transactions import fire_callbacks
from django_hookflow.transports import get_transport
from django_hookflow.workflows import registry
from django_hookflow.workflows.wrapper import WorkflowWrapper

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

MOST = 10_000  # deliveries between two rests
SHOWN = 20  # runs of a test that has failed
TRANSPORT = f"{KitTransport.__module__}.{KitTransport.__qualname__}"


class ProcessDied(BaseException):
    """Ends a delivery as a killed process would; nothing may catch it."""


stopping.let_pass(ProcessDied)


class Hookflow:
    """The workflows of a test; the fixture `hookflow`.

    `replays`: whether each run that rests is replayed. `faults`: what goes
    wrong meanwhile.
    """

    def __init__(
        self, *, replays: bool = True, faults: Faults | None = None
    ) -> None:
        self.now: datetime = clock.now()
        self.replays = replays
        self.faults = faults or Faults()
        # How often the function of each step was called, and of which kinds
        # the steps were.
        self.called: Counter[str] = Counter()
        self._kinds: dict[str, str] = {}
        self._post = Post(self.faults)
        self._stubs: dict[str, Stub | Failing] = {}
        self._moved: dict[str, None] = {}
        self._errors: dict[str, BaseException] = {}
        self._started = 0  # runs, by this object
        self._depth = 0  # workflow functions above one another
        self._is_dead = False  # the process, until the delivery is given up

    # Starting and finding runs.

    def run(
        self,
        workflow: WorkflowWrapper,
        data: Any = None,
        run_id: str | None = None,
        *,
        delay: Duration = 0,
        owner: object = None,
        about: Model | None = None,
    ) -> Run:
        """Start a run, and deliver until it has ended or has to wait.

        Takes what `workflow.trigger` does, and raises the same. Without a
        `run_id` it is the same one whenever the test runs, and with it the
        random numbers of the run.
        """
        __tracebackhide__ = True
        if not isinstance(workflow, WorkflowWrapper):
            raise TypeError(
                f"{workflow!r} is not a workflow. Give hookflow.run a "
                "function declared by @workflow."
            )
        self._started += 1
        started = workflow.trigger(
            data,
            run_id or f"{workflow.workflow_id}-{self._started}",
            delay=delay,
            owner=owner,
            about=about,
        )
        self.deliver()
        return Run(self, started)

    def get(self, run_id: str | None = None) -> Run:
        """Return a run that the code under test has started.

        Without an id, the only one that was triggered. Delivers first what
        is due.
        """
        __tracebackhide__ = True
        self.deliver()
        known = list(
            WorkflowRun.objects.filter(parent=None, origin=None).values_list(
                "run_id", flat=True
            )
        )
        if run_id is None and len(known) == 1:
            return Run(self, known[0])
        if run_id is None or run_id not in known:
            raise failures.RunUnknown(run_id, known)
        return Run(self, run_id)

    def restore(
        self, run: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]
    ) -> Run:
        """Start a run behind its recorded steps, as hookflow_export wrote it.

        Delivers until it has ended or has to wait.
        """
        __tracebackhide__ = True
        workflow = registry.get_workflow(run["workflow_id"], run["version"])
        row = WorkflowPersistence.new_run(
            run_id=run["run_id"],
            workflow_id=workflow.workflow_id,
            version=workflow.version,
            owner=run["owner"],
            data=run["data"],
            timeout=workflow.timeout,
        )
        row.root_id = run["root_id"]
        row.started_at = datetime.fromisoformat(run["started_at"])
        row.deliveries = 1  # the next one reads the journal
        if WorkflowPersistence.create(row) is not None:
            raise failures.KitFailure(
                f"Run {row.run_id!r} exists already: restore it once."
            )
        saved = WorkflowRun.objects.get(run_id=row.run_id)
        StepExecution.objects.bulk_create(
            StepExecution(workflow_run=saved, **step) for step in steps
        )
        begin(row)
        self.deliver()
        return Run(self, row.run_id)

    # Moving them.

    def deliver(self) -> None:
        """Deliver what is due, until all runs have ended or wait."""
        __tracebackhide__ = True
        fire_callbacks()
        for _ in range(MOST):
            message = self._post.take()
            if message is None:
                break
            if message.delivery is None:
                maintenance.sweep()
            else:
                self._deliver(message.delivery)
            fire_callbacks()
        else:
            raise failures.NoRest(MOST)
        self._replay()

    def next_due(self) -> datetime | None:
        """Return when the next message is due; None when there is none."""
        return self._post.next_due()

    def advance(self, duration: Duration) -> None:
        """Move the engine's clock, and deliver each message when it is due.

        `duration`: seconds, a timedelta, or text such as "7d".
        """
        __tracebackhide__ = True
        until = self.now + clock.checked("duration", duration)
        self.deliver()
        while (due := self._post.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            self.deliver()
        self.now = until

    def send_event(
        self,
        name: str,
        data: Any = None,
        *,
        match: object = None,
        run_id: str | None = None,
        event_id: str | None = None,
    ) -> None:
        """Send an event as the site would, and deliver; see send_event."""
        __tracebackhide__ = True
        send_event(name, data, match=match, run_id=run_id, event_id=event_id)
        self.deliver()

    # Standing in for steps.

    def stub(
        self,
        step_id: str,
        *,
        returns: Any = None,
        raises: BaseException | type[BaseException] | None = None,
    ) -> Stub:
        """Answer in the place of the function of a step.

        It returns a copy of `returns`, or raises `raises`. A step that calls
        a URL returns {"status_code": int, "data": …}. The undo of a step is
        "<step_id>~undo". A stub that no run uses fails the test.
        """
        stub = Stub(step_id, returns, raises)
        self._stubs[step_id] = stub
        return stub

    def fail(
        self, step_id: str, times: int = 1, error: Exception | None = None
    ) -> Failing:
        """Fail the first attempts of a step, before its function is called.

        `error`: by default a ConnectionError, which is tried again.
        """
        if times < 1:
            raise ValueError(
                f"Invalid times {times!r}, expected a whole number from 1."
            )
        given = error or ConnectionError(f"{step_id} is not reachable")
        failing = Failing(step_id, times, given)
        self._stubs[step_id] = failing
        return failing

    # Its frame.

    @contextmanager
    def running(self) -> Iterator[Hookflow]:
        """Be the time, the messages and the calls of the engine."""
        with ExitStack() as stack:
            stack.enter_context(registry.restored())
            stack.enter_context(clock.source(lambda: self.now))
            stack.enter_context(
                override_settings(
                    DJANGO_HOOKFLOW_TRANSPORT=TRANSPORT,
                    DJANGO_HOOKFLOW_SWEEP_AFTER=0,
                )
            )
            transport = get_transport()
            assert isinstance(transport, KitTransport)
            transport.post = self._post
            stack.enter_context(calls.through(self._around))
            for signal, receiver in (
                (signals.step_recorded, self._recorded),
                (signals.run_committed, self._committed),
            ):
                signal.connect(receiver, weak=False)
                stack.callback(signal.disconnect, receiver)
            yield self

    def finish(self) -> None:
        """Deliver what is due, and fail for stubs that were not used."""
        __tracebackhide__ = True
        self.deliver()
        if missed := self.faults.not_reached():
            raise failures.KitFailure(missed)
        for step_id, stub in self._stubs.items():
            if stub.times:
                continue
            kind = self._kinds.get(step_id)
            if kind is not None and not self.called[step_id]:
                raise failures.KitFailure(
                    f"Stub {step_id!r} was not used: it is a {kind} step, "
                    "which calls no function. Send its event, answer its "
                    "question, or advance the time."
                )
            raise failures.UnknownStep("Stub", step_id, self.called)

    def told(self) -> str:
        """Return the runs as text; "" where the database cannot be asked."""
        try:
            rows = WorkflowRun.objects.order_by("pk")[:SHOWN]
            return "\n".join(timeline(row) for row in rows)
        except DatabaseError:
            return ""

    def _deliver(self, delivery: Delivery) -> None:
        __tracebackhide__ = True
        try:
            answer = engine.advance(delivery)
            self._die_at(DELIVERY, "before-acknowledge")
        except ProcessDied:
            self._is_dead, self._depth = False, 0
            self._bury()
            self._post.again(delivery)
            return
        if isinstance(answer, Parked):
            row = WorkflowRun.objects.get(run_id=delivery.run_id)
            raise failures.NotDeployed(row.run_id, row.error_message)

    def _bury(self) -> None:
        """Let the leases of the process that died end at once.

        The time does not pass for it, so that no time limit of the test's
        runs is over.
        """
        WorkflowRun.objects.exclude(lease_token="").update(
            lease_until=self.now, sweep_at=self.now
        )
        self._post.sweep_at(self.now)

    def _replay(self) -> None:
        __tracebackhide__ = True
        moved, self._moved = [*self._moved], {}
        if not self.replays:
            return
        for row in WorkflowRun.objects.filter(run_id__in=moved):
            with suppress(WorkflowNotFound):  # of a run that was parked
                replays.check(row)

    # Called by the engine.

    def _around(self, function: Callable[[], Any]) -> Any:
        work = tracing.current()
        step = None if work is None else work.step
        if step is None:
            return self._call_workflow(function)
        step_id = step.step_id
        self._die_at(step_id, "before-effect")
        self.called[step_id] += 1
        stub = self._stubs.get(step_id)
        with committing(lambda: self._die_at(step_id, "before-write")):
            value = function() if stub is None else stub(function)
        fire_callbacks()
        self._die_at(step_id, "after-effect")
        return value

    def _call_workflow(self, function: Callable[[], Any]) -> Any:
        """Call it, or the branch that it leads to."""
        self._depth += 1
        is_alive = True
        try:
            return function()
        except ProcessDied:
            is_alive = False
            raise
        finally:
            self._depth -= 1
            if is_alive and not self._depth:
                self._die_at(DELIVERY, "before-commit")

    def _recorded(self, entry: signals.Entry, **_: Any) -> None:
        self._kinds[entry.step_id] = entry.kind
        self._die_at(entry.step_id, "after-record")

    def _committed(
        self,
        run_id: str,
        verdict: Verdict,
        error: BaseException | None,
        **_: Any,
    ) -> None:
        self._moved[run_id] = None
        if error is not None:
            self._errors[run_id] = error
        if verdict.entry is not None:
            self._kinds[verdict.entry.step_id] = verdict.entry.kind
        try:
            self._die_at(DELIVERY, "before-publish")
        except ProcessDied:
            self._post.sweep_at(max(verdict.wake_at or self.now, self.now))
            raise

    def _die_at(self, what: str, place: str) -> None:
        """Die if that is planned here, or code has caught the death before."""
        self._is_dead = self._is_dead or self.faults.strike(what, place)
        if self._is_dead:
            raise ProcessDied


class Run:
    """A run, and the last that continues it."""

    def __init__(self, hookflow: Hookflow, run_id: str) -> None:
        self.hookflow = hookflow
        self.run_id = run_id

    @property
    def row(self) -> WorkflowRun:
        """Its row as it is now."""
        row = WorkflowRun.objects.current(self.run_id)
        if row is None:
            raise failures.RunUnknown(self.run_id, [])
        return row

    @property
    def status(self) -> str:
        return str(self.row.status)

    @property
    def result(self) -> Any:
        """The value that the function returned; fails if there is none."""
        __tracebackhide__ = True
        row = self.row
        if row.status != RunStatus.COMPLETED:
            raise failures.NotCompleted(
                row.run_id, row.status, self.error, timeline(row)
            )
        return row.result

    @property
    def error(self) -> str:
        """Why it failed, such as "ValueError: no such card"; or ""."""
        row = self.row
        if not row.error_type:
            return ""
        return f"{row.error_type}: {row.error_message}"

    @property
    def steps(self) -> list[StepExecution]:
        """The rows of its steps, in the order in which it came to them."""
        return steps_of(self.row)

    @property
    def timeline(self) -> str:
        """The run and its steps as text."""
        return timeline(self.row)

    def step(self, step_id: str) -> StepExecution:
        """Return the row of a step."""
        __tracebackhide__ = True
        steps = {step.step_id: step for step in self.steps}
        if step_id not in steps:
            raise failures.KitFailure(
                f"Run {self.run_id!r} has no step {step_id!r}."
                f"{failures.nearest(step_id, steps)}"
            )
        return steps[step_id]

    def assert_steps(self, expected: Sequence[str | tuple[str, str]]) -> None:
        """Fail unless the run came to these steps, in this order.

        A step id stands for a completed step; (step_id, status) for others.
        """
        __tracebackhide__ = True
        done = str(StepStatus.COMPLETED)
        wanted = [(s, done) if isinstance(s, str) else s for s in expected]
        found = [(step.step_id, str(step.status)) for step in self.steps]
        if wanted != found:
            raise failures.StepsDiffer(wanted, found, self.timeline)

    def advance(self, duration: Duration) -> Run:
        """Move the engine's clock; see Hookflow.advance."""
        __tracebackhide__ = True
        self.hookflow.advance(duration)
        return self

    def finish(self) -> Any:
        """Let time pass until the run has ended, and return its result.

        Raises the error of its code if it has failed.
        """
        kit, error = self.hookflow, self.hookflow._errors.get
        while not self.row.is_finished and (due := kit.next_due()):
            kit.advance(max(due - kit.now, timedelta()))
        row = self.row
        raised = error(row.run_id)
        if row.error_type and raised is not None:
            raise _cause_of(raised)
        return self.result

    def send_event(
        self,
        name: str,
        data: Any = None,
        *,
        early: bool = False,
        event_id: str | None = None,
    ) -> Run:
        """Send an event for which the run waits, and deliver.

        It goes to the match for which the run waits, if it waits for one.
        With `early`, the run need not wait for it yet.
        """
        __tracebackhide__ = True
        row = self.row
        waits = [s for s in self.steps if _waits_for_event(s)]
        found = [step for step in waits if step.event_name == name]
        if not found and not early:
            known = [f"{s.event_name!r} (step {s.step_id!r})" for s in waits]
            raise failures.NotWaitingFor(row.run_id, row.status, name, known)
        match = found[0].event_match if found else ""
        self.hookflow.send_event(
            name,
            data,
            match=match or None,
            run_id=None if match else row.run_id,
            event_id=event_id,
        )
        return self

    def answer(
        self,
        data: Any,
        *,
        as_user: AbstractBaseUser,
        step_id: str | None = None,
    ) -> Run:
        """Answer the question of a step, and deliver; see answer_question.

        `step_id`: of the question, if the run asks several.
        """
        __tracebackhide__ = True
        row = self.row
        asked = list(row.questions.filter(status=QuestionStatus.OPEN))
        found = [q for q in asked if step_id in (None, q.step_id)]
        if len(found) != 1:
            known = [question.step_id for question in asked]
            raise failures.NoQuestion(row.run_id, step_id, known)
        answer_question(found[0].pk, data, by=as_user)
        self.hookflow.deliver()
        return self

    def cancel(self, *, by: object = None, reason: str = "") -> Run:
        """Cancel the run, and deliver; see cancel_run."""
        __tracebackhide__ = True
        cancel_run(self.row.run_id, by=by, reason=reason)
        self.hookflow.deliver()
        return self


def _cause_of(error: BaseException) -> BaseException:
    """Return the error of a step's function, as that raised it."""
    if isinstance(error, WorkflowError) and error.__cause__ is not None:
        return error.__cause__
    return error


def _waits_for_event(step: StepExecution) -> bool:
    return bool(step.event_name) and step.status == StepStatus.WAITING
