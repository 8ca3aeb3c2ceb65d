"""What a workflow function is given: `ctx` and its steps."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from datetime import timedelta
from functools import partial
from typing import Any
from typing import ParamSpec
from typing import TypeVar

from django_hookflow.clock import Duration
from django_hookflow.exceptions import MisusedStep
from django_hookflow.http import Call
from django_hookflow.retry import RetryPolicy
from django_hookflow.retry import checked_policy
from django_hookflow.steps.base import DEFAULTS
from django_hookflow.steps.base import Options
from django_hookflow.steps.call import CallStep
from django_hookflow.steps.run import RunStep
from django_hookflow.steps.session import Session
from django_hookflow.steps.sleep import SleepStep
from django_hookflow.steps.sleep import SleepUntilStep
from django_hookflow.steps.wait_for_event import WaitForEventStep
from django_hookflow.values import call_by_value
from django_hookflow.workflows.log import WorkflowLogger

P = ParamSpec("P")
T = TypeVar("T")


class StepManager:
    """`ctx.step`: the durable operations. Each id names one step of a run."""

    def __init__(self, session: Session, options: Options = DEFAULTS) -> None:
        self._session = session
        self._options = options

    def options(
        self,
        *,
        retry: RetryPolicy | None = None,
        atomic: bool | None = None,
        optional: bool | None = None,
    ) -> StepManager:
        """How the step that follows behaves; what is left out stays.

        `retry`: its own policy. `atomic`: run it in a transaction that
        commits together with its journal entry, so it happens exactly once.
        `optional`: when it fails, record that and return None.
        """
        chosen = {
            "retry": checked_policy(retry),
            "atomic": atomic,
            "optional": optional,
        }
        given: Any = {k: v for k, v in chosen.items() if v is not None}
        return StepManager(self._session, replace(self._options, **given))

    def run(
        self,
        step_id: str,
        fn: Callable[P, T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call `fn` and keep its result, which must be data.

        Containers and dataclasses are given as copies, so that a change of
        them is not there in one pass and missing in the next: return it.
        Raises WorkflowError when it failed for good.
        """
        if not callable(fn):
            raise _no_function(step_id, fn)
        function: Callable[[], Any] = fn
        if args or kwargs:
            function = partial(call_by_value, fn, args, kwargs)
        step = RunStep(self._session, step_id, self._options, function)
        result: T = step.outcome()
        return result

    def sleep(self, step_id: str, seconds: Duration) -> None:
        """Wait: seconds, a timedelta, or text such as "7d"."""
        SleepStep(self._session, step_id, self._options, seconds).outcome()

    def sleep_until(self, step_id: str, when: datetime) -> None:
        """Wait until `when`, which must be aware."""
        SleepUntilStep(self._session, step_id, self._options, when).outcome()

    def call(
        self,
        step_id: str,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
    ) -> dict[str, Any]:
        """Make an HTTP request: `{"status_code": int, "data": …}`.

        `data` is read by the Content-Type of the answer: JSON, text, else
        bytes, and None if it is empty. 5xx, 408, 425, 429 and lost
        connections are tried again, with the same Idempotency-Key; other
        statuses are returned. `timeout`: seconds, for the whole call.
        """
        call = Call(url, method, body, headers or {}, timeout)
        step = CallStep(self._session, step_id, self._options, call)
        answer: dict[str, Any] = step.outcome()
        return answer

    def wait_for_event(
        self,
        step_id: str,
        name: str,
        timeout: Duration | None = None,
        match: object = None,
    ) -> Any:
        """The data of the event `name`, sent to this run or to `match`.

        An event is consumed by one wait, whether it came before or after.
        Raises EventTimeout when none came within `timeout`.
        """
        key = "" if match is None else str(match)
        return WaitForEventStep(
            self._session, step_id, self._options, name, timeout, key
        ).outcome()


@dataclass(frozen=True, slots=True)
class WorkflowContext:
    """One run as its workflow function sees it."""

    run_id: str
    workflow_id: str
    data: dict[str, Any]
    started_at: datetime  # when the first delivery came
    session: Session
    step: StepManager

    def now(self) -> datetime:
        """The time of the last step; the same at every replay."""
        return self.session.now

    workflow_time = now

    def elapsed(self) -> timedelta:
        """Since the start of the run, by `now()`."""
        return self.now() - self.started_at

    @property
    def log(self) -> WorkflowLogger:
        """A logger that is silent while recorded steps are replayed."""
        return WorkflowLogger(self.workflow_id, self.session)

    def idempotency_key(self, step_id: str) -> str:
        """The same for each attempt of a step, and for replayed letters."""
        return self.session.idempotency_key(step_id)


def _no_function(step_id: object, given: object) -> MisusedStep:
    return MisusedStep(
        str(step_id),
        f"was given {given!r:.60}, which is no function",
        'Write ctx.step.run("id", fn, argument), without calling fn.',
    )
