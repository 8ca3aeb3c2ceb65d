"""`ctx.step.map` and `parallel`: parts of a function that run side by side.

Each branch is a run of its own, with its own journal, lease and retries. Its
deliveries replay the workflow function up to the step, and then call the
function of the branch, whose steps are the branch's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any
from typing import ClassVar
from typing import NoReturn
from typing import TypedDict
from typing import TypeVar
from typing import Unpack

from django_hookflow import clock
from django_hookflow.conf import conf
from django_hookflow.exceptions import BranchEnded
from django_hookflow.exceptions import MisusedStep
from django_hookflow.exceptions import WorkflowError
from django_hookflow.journal import CANCELLED
from django_hookflow.journal import MAP
from django_hookflow.journal import PARALLEL
from django_hookflow.journal import Child
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.names import is_name
from django_hookflow.outcomes import Start
from django_hookflow.serialization import RESULT
from django_hookflow.serialization import dumps
from django_hookflow.serialization import loads
from django_hookflow.serialization import too_long
from django_hookflow.states import StepStatus
from django_hookflow.steps.base import Step
from django_hookflow.steps.base import Steps
from django_hookflow.steps.invoke import DELETED
from django_hookflow.steps.invoke import InvokeSteps
from django_hookflow.steps.invoke import refuse_depth
from django_hookflow.steps.invoke import undone_with
from django_hookflow.steps.options import Options
from django_hookflow.steps.run import not_a_function
from django_hookflow.steps.session import Session

T = TypeVar("T")

AT_ONCE = 10  # branches that are at work at the same time
MOST = 10_000  # branches of one step
NOT_NEEDED = Failure(type=CANCELLED, message="enough others had completed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """When a fan-out is done, as its author has said it."""

    max_parallel: int = AT_ONCE
    on_error: str = "fail"
    enough: int | None = None  # completed branches; None is all
    tolerate: int | None = None  # failed branches

    def problem(self, branches: int) -> tuple[str, str] | None:
        """Return what makes no sense and what to do; None if all does."""
        for name, least, most in (
            ("max_parallel", 1, MOST),
            ("enough", 1, branches),
            ("tolerate", 0, branches),
        ):
            value = getattr(self, name)
            if value is None:
                continue
            if type(value) is not int or not least <= value <= most:
                return (
                    f"has {name}={value!r} and {branches} branches",
                    f"Write a whole number from {least} to {most}.",
                )
        if self.on_error not in ("fail", "collect"):
            return (
                f"has on_error={self.on_error!r}",
                'Write "fail", or "collect" to get errors among the results.',
            )
        if self.on_error == "collect" and self.tolerate is not None:
            return (
                'has on_error="collect" and tolerate=',
                "The first tolerates each failure: leave one of the two out.",
            )
        if branches > MOST:
            return (
                f"has {branches:,} branches",
                f"One step has at most {MOST:,}: give each branch a part of "
                "the items, or make several steps.",
            )
        return None

    def plan(self, branches: int) -> dict[str, Any]:
        """Return the same in numbers, for the rows."""
        enough = branches if self.enough is None else self.enough
        tolerate = self.tolerate
        if tolerate is None:
            collects = self.on_error == "collect"
            tolerate = branches if collects else branches - enough
        return {"branches": branches, "enough": enough, "tolerate": tolerate}


class Said(TypedDict, total=False):
    """The terms as authors write them."""

    max_parallel: int
    on_error: str
    enough: int | None
    tolerate: int | None


class FanOutStep(Step):
    takes: ClassVar[frozenset[str]] = frozenset({"retry", "optional"})

    def __init__(
        self,
        session: Session,
        step_id: str,
        options: Options,
        terms: Terms,
        keys: Sequence[Any],
        calls: Sequence[Callable[[], Any]],
    ) -> None:
        super().__init__(session, step_id, options)
        self.terms = terms
        self.keys = keys  # items or names: what makes it the same step
        self.calls = calls

    def outcome(self) -> Any:
        branch = self.session.turn_off(self.step_id)
        if branch is not None:
            self.run_branch(branch)
        return super().outcome()

    def run_branch(self, branch: int) -> NoReturn:
        """Call the function of one branch, and end the pass."""
        session = self.session
        session.policy = self.options.retry or session.policy
        call = self.calls[branch] if branch < len(self.calls) else self.gone
        what = f"The result of branch {branch} of step {self.step_id!r}"
        outcome = session.outcome_of(call, what)
        if session.suspension is not None:
            raise session.suspension
        session.branch = outcome
        session.suspend(BranchEnded())

    def execute(self, entry: Entry) -> Any:
        if problem := self.terms.problem(len(self.calls)):
            raise MisusedStep(self.step_id, *problem)
        refuse_depth(self.session, self.step_id)
        self.refuse_long_name("where it has branches")
        plan = self.terms.plan(len(self.calls))
        where = f"The items of step {self.step_id!r}"
        plan["of"] = sha256(dumps(self.keys, where).encode()).hexdigest()
        # While it waits, its row says what for.
        entry = entry._replace(result=json.dumps(plan))
        if not self.calls:
            return self.join(entry, [])
        if not entry.has_row:
            return self.wait(entry, None, starts=(self.start(entry),))
        self.refuse_others(plan["of"])
        return self.look(entry, plan)

    def start(self, entry: Entry) -> Start:
        return Start(
            step_id=self.step_id,
            data=entry.result or "",
            branches=len(self.calls),
            at_once=self.terms.max_parallel,
        )

    def look(self, entry: Entry, plan: dict[str, Any]) -> Any:
        """Record how the branches have ended, if that is decided.

        Once it is, those that are still open are cancelled. A failure waits
        for their end, since the run may undo its steps next.
        """
        recorder = self.session.recorder
        found = {c.branch: c for c in recorder.children(self.step_id)}
        gone = Child(is_open=False, failure=DELETED)
        children = [found.get(n, gone) for n in range(len(self.calls))]
        left = [child for child in children if child.is_open]
        failed = [child for child in children if child.failure is not None]
        completed = len(children) - len(left) - len(failed)
        has_failed = len(failed) > plan["tolerate"]
        if completed < plan["enough"] and left and not has_failed:
            return self.wait(entry, None)
        if left:
            recorder.stop_children(self.step_id)
        if has_failed and left:
            return self.wait(entry, None)
        if has_failed:
            failed_entry = self.failed(entry, self.failure(children))
            failed_entry = undone_with(failed_entry, children)
            # What is the same decides about a run that goes on for this one.
            return self.record(failed_entry._replace(result=entry.result))
        return self.join(entry, children)

    def failure(self, children: list[Child]) -> Failure:
        """Return that of the first branch that failed by itself."""
        failures = [
            (name, child.failure)
            for name, child in zip(self.names, children, strict=True)
            if child.failure is not None
        ]
        failures.sort(key=lambda one: one[1].type == CANCELLED)
        name, failure = failures[0]
        return Failure(
            type=failure.type, message=f"branch {name}: {failure.message}"
        )

    def join(self, entry: Entry, children: list[Child]) -> Any:
        """Record the results, each in the place of its branch."""
        results = [child.result or "null" for child in children]
        failures = [
            NOT_NEEDED if child.is_open else child.failure
            for child in children
        ]
        errors = {
            str(place): [failure.type, failure.message]
            for place, failure in enumerate(failures)
            if failure is not None
        }
        text = (
            f'{{"results": [{", ".join(results)}], '
            f'"errors": {json.dumps(errors)}}}'
        )
        if len(text) > conf.DJANGO_HOOKFLOW_MAX_VALUE_BYTES:
            raise too_long(text, ("results", RESULT, self.step_id))
        done = entry.ended(StepStatus.COMPLETED, clock.now(), text)
        return self.record(undone_with(done, children))

    def answer(self, entry: Entry, cause: BaseException | None = None) -> Any:
        if entry.failure is not None:
            return super().answer(entry, cause)
        recorded = loads(entry.result)
        results: list[Any] = recorded["results"]
        for place, (kind, message) in recorded["errors"].items():
            results[int(place)] = WorkflowError(self.step_id, kind, message)
        return results

    @property
    def names(self) -> Sequence[Any]:
        """The names of the branches in an error."""
        return range(len(self.calls))

    def refuse_others(self, of: str) -> None:
        prior = self.session.journal.get(self.step_id)
        before = json.loads(prior.result) if prior and prior.result else {}
        if before.get("of", of) != of:
            raise MisusedStep(
                self.step_id,
                f"began with {before['branches']} branches, and its items "
                "are others now",
                "Take them from a step or from ctx.data, so that they are "
                "the same in each pass; give a step with others another id.",
            )

    def gone(self) -> NoReturn:
        raise MisusedStep(
            self.step_id,
            f"has {len(self.calls)} branches now, and began with more",
            "Take its items from a step or from ctx.data, so that they are "
            "the same in each pass.",
        )


class MapStep(FanOutStep):
    kind: ClassVar[str] = MAP


class ParallelStep(FanOutStep):
    kind: ClassVar[str] = PARALLEL

    @property
    def names(self) -> Sequence[Any]:
        return [repr(name) for name in self.keys]


class FanOutSteps(Steps):
    def map(
        self,
        step_id: str,
        fn: Callable[[Any], T],
        items: Iterable[Any],
        **terms: Unpack[Said],
    ) -> list[T]:
        """Call `fn` with each item, side by side; return the results in order.

        Each call is a branch: a small workflow function, in which
        `ctx.step` works as everywhere. What it does outside of its steps
        is done again when it is called again; without steps it is one step,
        tried as often as `options(retry=)` says. `items` is data that is the
        same in each pass, at most 10,000. `fn` may be a workflow, whose data
        is the item, a dict.

        `max_parallel`: branches at work at the same time; one that sleeps or
        waits lets another go on. `enough`: how many have to complete; then
        the others are cancelled. `tolerate`: how many may fail. With
        `on_error="collect"` all may. The place of a branch that did not
        complete has a WorkflowError then. Else the first failure cancels the
        others and, when they have ended, raises WorkflowError.
        """
        given = self._items(step_id, items)
        one = self._branch(step_id, fn)
        step = MapStep(
            self._session,
            step_id,
            self._options,
            Terms(**terms),
            given,
            [partial(one, item) for item in given],
        )
        results: list[T] = step.outcome()
        return results

    def parallel(
        self,
        step_id: str,
        branches: Mapping[str, Callable[..., Any] | tuple[Any, ...]],
        **terms: Unpack[Said],
    ) -> dict[str, Any]:
        """Call functions side by side; return their results by name.

        `branches`: `{"mail": (send_mail, address), "label": print_label}`.
        Each is a branch as in `map`, which has the other arguments, too.
        """
        names = list(branches)
        calls = [self._call(step_id, n, branches[n]) for n in names]
        step = ParallelStep(
            self._session,
            step_id,
            self._options,
            Terms(**terms),
            names,
            calls,
        )
        results = step.outcome()
        if results is None:  # it is optional, and failed
            return {}
        return dict(zip(names, results, strict=True))

    def _items(self, step_id: str, items: Iterable[Any]) -> list[Any]:
        if isinstance(items, str | bytes) or not isinstance(items, Iterable):
            raise MisusedStep(
                step_id,
                f"was given items of type {type(items).__name__}",
                'Write ctx.step.map("id", fn, [item, …]).',
            )
        return list(items)

    def _branch(self, step_id: str, fn: Any) -> Callable[[Any], Any]:
        """Return the function of a branch with one argument."""
        if isinstance(getattr(fn, "workflow_id", None), str):
            return partial(InvokeSteps(self._session).invoke, "run", fn)
        if not callable(fn):
            raise not_a_function(step_id, fn, 'map("id", fn, items)')
        function: Callable[[Any], Any] = fn
        return function

    def _call(self, step_id: str, name: str, given: Any) -> Callable[[], Any]:
        if not isinstance(name, str) or not is_name(name):
            raise MisusedStep(
                step_id,
                f"has a branch with the name {name!r:.60}",
                'Name each by a text: {"mail": (send_mail, address)}.',
            )
        fn, *args = given if isinstance(given, tuple) and given else (given,)
        if not callable(fn):
            raise not_a_function(
                step_id, fn, 'parallel("id", {"name": (fn, argument)})'
            )
        return partial(fn, *args)
