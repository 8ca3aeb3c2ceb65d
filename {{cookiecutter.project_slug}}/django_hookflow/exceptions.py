"""The engine's exceptions.

    Exception
    ├── HookflowError
    │   ├── WorkflowError            a step failed; workflows may catch it
    │   │   ├── EventTimeout         an event did not come in time
    │   │   ├── StepTimeout          a step was not done in time
    │   │   └── StepInterrupted      an at_most_once step began and did not end
    │   ├── PermanentError           raise it in a step: do not retry
    │   ├── RetryableError           raise it in a step: do retry
    │   ├── WorkflowNotFound         no such workflow, or version of it
    │   ├── BranchNotReached         the code does not come to a branch
    │   ├── RunNotFound              no such run
    │   ├── RunConflict              the run_id belongs to another run
    │   ├── EventConflict            the event_id was sent to another address
    │   ├── AlreadyReplayed          the dead letter has been replayed
    │   ├── SerializationError       a value does not fit the journal
    │   ├── InvalidData              data does not fit input= or output=
    │   ├── MisusedStep              the workflow function breaks a rule
    │   ├── RunTimeout               the run did not end in time
    │   ├── WorkerCrashed            the run kills its workers
    │   ├── OutcomeRefused           the database does not take an outcome
    │   ├── CompensationFailed       some steps could not be undone
    │   ├── UndoNotFound             the code has no undo for a step any more
    │   ├── RunNotOpen               the run has ended, or is rolling back
    │   ├── RunNotPaused             only a paused run can be resumed
    │   ├── RunNotFailed             only a failed run can be retried
    │   ├── RunBusy                  a worker has the run at the moment
    │   ├── StepNotFound             no such step of the run
    │   ├── QuestionNotFound         no such question
    │   ├── QuestionClosed           it has an answer, or needs none any more
    │   ├── AnswerNotAllowed         the question is for others
    │   ├── InvalidAnswer            its form does not take the answer
    │   ├── TransportError           a message could not be sent
    │   └── InvalidDelivery          a message that must not be believed
    BaseException
    └── Suspension                   the delivery ends here; never catch it
        ├── StepCompleted            the budget is used up; the next continues
        ├── BranchEnded              so does the part that it was for
        ├── StepWaiting              a time, an event or a retry is due later
        └── LeaseLost                another delivery may own the run

Suspensions derive from BaseException, so that `except Exception` in a
workflow cannot swallow the end of a delivery.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from itertools import islice

from django.core.exceptions import PermissionDenied

# QStash does not try again after this status:
# https://upstash.com/docs/qstash/features/retry (2026-08)
NON_RETRYABLE = 489

ERRORS_SHOWN = 10  # fields that one InvalidData names
STEPS_SHOWN = 20  # of a run, in an error


class HookflowError(Exception):
    """Base of the engine's errors."""


class WorkflowError(HookflowError):
    """A step failed for good; every replay raises the same error."""

    def __init__(
        self, step_id: str, error_type: str, error: str, attempts: int = 1
    ) -> None:
        self.step_id = step_id
        self.error_type = error_type
        self.error = error
        self.attempts = attempts
        times = "once" if attempts == 1 else f"{attempts} times"
        super().__init__(
            f"Step {step_id!r} was tried {times} and failed: "
            f"{error_type}: {error}"
        )


class EventTimeout(WorkflowError):
    """The event a step waited for did not come in time."""


class StepTimeout(WorkflowError):
    """A step was not done, or not satisfied, within its timeout."""


class StepInterrupted(WorkflowError):
    """A step with at_most_once began and did not end.

    Its worker died, or lost its lease: whether it had its effect is unknown.
    """


class PermanentError(HookflowError):
    """Raise it in a step to fail the step at once, without retries."""


class RetryableError(HookflowError):
    """Raise it in a step to have the step tried again.

    `retry_after`: seconds until then; None takes the delay of the policy.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class WorkflowNotFound(HookflowError, LookupError):
    """No workflow is registered with this id, or not in this version."""

    def __init__(
        self,
        workflow_id: str,
        known: Iterable[str],
        version: int | None = None,
        versions: Iterable[int] = (),
    ) -> None:
        self.workflow_id = workflow_id
        self.version = version
        deployed = ", ".join(map(str, sorted(versions)))
        if deployed:
            super().__init__(
                f"Workflow {workflow_id!r} has no version {version!r} here. "
                f"Deployed are: {deployed}. Keep the code of a version beside "
                "the newer ones until its last run has ended."
            )
            return
        close = get_close_matches(workflow_id, list(known), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(
            f"No workflow is registered as {workflow_id!r}.{hint} Workflows "
            "are found in the workflows.py of installed apps."
        )


class BranchNotReached(HookflowError):
    """A workflow function does not come to the step of a branch."""

    def __init__(self, step_id: str, branch: int) -> None:
        super().__init__(
            f"Branch {branch} of step {step_id!r} cannot go on: the workflow "
            "function has other work to do before that step, or does not "
            "come to it any more. Deploy code that does; the branch waits."
        )


class RunNotFound(HookflowError, LookupError):
    """No run has this id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"No run has the id {run_id!r}. "
            "Use the id that trigger() returned, after its commit."
        )


class RunConflict(HookflowError):
    """The run_id is that of a run with another workflow, data or owner."""

    def __init__(self, run_id: str, what: str) -> None:
        super().__init__(
            f"Run {run_id!r} already exists with {what}. "
            "Use another run_id, or the same workflow, data and owner."
        )


class EventConflict(HookflowError):
    """The event_id was used for another run or match."""

    def __init__(self, name: str, event_id: str) -> None:
        super().__init__(
            f"Event {name!r} with the id {event_id!r} was already sent to "
            "another run or match, and an event is consumed once. Give each "
            'address an id of its own, such as f"{event_id}-{match}".'
        )


class AlreadyReplayed(HookflowError):
    """The dead letter was replayed before."""

    def __init__(self, run_id: str, replayed_as: str) -> None:
        super().__init__(
            f"The dead letter of run {run_id!r} was already replayed "
            f"as {replayed_as!r}. Look at that run."
        )


class SerializationError(HookflowError, TypeError):
    """A value cannot be written to the journal, or not be read from it."""

    def __init__(
        self, where: str, problem: str, *, is_reading: bool = False
    ) -> None:
        self.where = where
        super().__init__(
            f"{where} cannot be read any more: {problem}. Deploy code that "
            "can read it, and replay the dead letter."
            if is_reading
            else f"{where} cannot be recorded: {problem}. Use plain data, a "
            "dataclass or an id, and load the rest again where it is used."
        )


class InvalidData(HookflowError, ValueError):
    """Data does not fit the type that a workflow declares for it.

    `errors`: what is wrong, by the path of the field, for example
    {"items.0.amount": "Input should be a valid integer, given 'two'"}; the
    path of the whole is "".
    """

    def __init__(
        self,
        what: str,
        type_name: str,
        errors: Mapping[str, str],
        *,
        is_recorded: bool = False,
    ) -> None:
        self.errors = dict(errors)
        shown = [
            f"{path}: {problem}" if path else problem
            for path, problem in islice(errors.items(), ERRORS_SHOWN)
        ]
        if len(errors) > ERRORS_SHOWN:
            shown.append(f"and {len(errors) - ERRORS_SHOWN} more")
        said = "; ".join(shown)
        super().__init__(
            f"{what} does not fit {type_name} any more: {said}. Deploy code "
            "that can read it, for example with a default for a new field, "
            "and replay the dead letter."
            if is_recorded
            else f"{what} does not fit {type_name}: {said}. Give it what "
            "the workflow declares by input= and output=; nothing was "
            "recorded."
        )


class MisusedStep(HookflowError):
    """The workflow function uses a step in a way that makes no sense."""

    def __init__(self, step_id: str, problem: str, cure: str) -> None:
        self.step_id = step_id
        super().__init__(f"Step {step_id!r} {problem}. {cure}")


class RunTimeout(HookflowError):
    """The run had not ended when the timeout of its workflow was over."""

    def __init__(self, deadline: datetime) -> None:
        super().__init__(
            f"The run had not ended at {deadline:%Y-%m-%d %H:%M:%S} UTC, when "
            "the timeout of its workflow was over. Replay its dead letter, "
            "which has as long again, or give the workflow a longer timeout."
        )


class WorkerCrashed(HookflowError):
    """Too many deliveries of a run died without an answer."""

    def __init__(self, crashes: int, last_step: str) -> None:
        after = f"after step {last_step!r}" if last_step else "at its start"
        super().__init__(
            f"{crashes} deliveries in a row died without an answer, {after}. "
            "Something there kills the process: memory, a time limit or a "
            "signal. Fix it and replay the dead letter."
        )


class OutcomeRefused(HookflowError):
    """The database does not take the outcome of a delivery."""

    def __init__(self, run_id: str, refusal: Exception) -> None:
        super().__init__(
            f"The outcome of run {run_id!r} cannot be written: "
            f"{type(refusal).__name__}: {refusal}. Another attempt would be "
            "refused too, so the run has failed. Fix what the database "
            "names, and replay the dead letter."
        )


class CompensationFailed(HookflowError):
    """A run was rolled back, and some of its steps could not be undone."""

    ASKED = "its function asked for it"

    def __init__(
        self, why: str, undone: Iterable[str], failed: Mapping[str, str]
    ) -> None:
        problems = "; ".join(
            f"{step!r}: {text}" for step, text in failed.items()
        )
        done = ", ".join(map(repr, undone)) or "nothing"
        super().__init__(
            f"Not undone: {problems}. Undone: {done}. It was rolled back "
            f"because {why}. Fix the cause and retry the dead letter: "
            "it goes on with the rollback."
        )


class UndoNotFound(HookflowError, LookupError):
    """A step has to be undone by code that is not there."""

    def __init__(self, step_id: str, undo: str) -> None:
        where = "its workflow function" if undo == "body" else repr(undo)
        super().__init__(
            f"Step {step_id!r} was to be undone by {where}, which does not "
            "say how any more. Deploy code in which the step has its "
            "compensate= again; the rollback waits for it."
        )


class RunNotOpen(HookflowError):
    """The run cannot be paused or cancelled: it has ended, or rolls back."""

    def __init__(
        self, run_id: str, status: str, verb: str, may: Iterable[str]
    ) -> None:
        *first, last = sorted(map(str, may))
        super().__init__(
            f"Run {run_id!r} is {status}, so there is nothing to {verb}. "
            f"Only {', '.join(first)} and {last} runs can be."
        )


class RunNotPaused(HookflowError):
    """The run cannot be resumed, since it is not paused."""

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(
            f"Run {run_id!r} is {status}, so there is nothing to resume. "
            "Only paused runs can be. To wake a run that waits for an event, "
            "send the event."
        )


class RunNotFailed(HookflowError):
    """The run cannot be retried, since it has not failed by itself."""

    def __init__(self, run_id: str, status: str, parent: str = "") -> None:
        if parent:
            super().__init__(
                f"Run {run_id!r} is a part of run {parent!r}, so it is "
                "neither retried nor forked by itself. Take that one."
            )
            return
        super().__init__(
            f"Run {run_id!r} is {status}, so there is nothing to retry. Only "
            "failed runs can be; fork_run begins any run again from a step."
        )


class RunBusy(HookflowError):
    """A worker has the run at the moment."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"A worker has run {run_id!r} at the moment. Try again when its "
            "step has ended."
        )


class StepNotFound(HookflowError, LookupError):
    """The run has no such step."""

    def __init__(
        self, run_id: str, step_id: str, what: str, steps: Iterable[str]
    ) -> None:
        known = list(steps)
        close = get_close_matches(step_id, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        there = ", ".join(map(repr, known[:STEPS_SHOWN])) or "none"
        more = len(known) - STEPS_SHOWN
        rest = f" and {more} more" if more > 0 else ""
        super().__init__(
            f"Run {run_id!r} has no step {step_id!r} {what}.{hint} "
            f"There are: {there}{rest}."
        )


class QuestionNotFound(HookflowError, LookupError):
    """No question has this id."""

    def __init__(self, question_id: object) -> None:
        super().__init__(
            f"No question has the id {question_id!r}. Use the id of a row "
            "that open_questions(user) returns."
        )


class QuestionClosed(HookflowError):
    """The question was answered before, or its run needs no answer."""

    def __init__(
        self,
        question_id: int,
        status: str,
        answered_by: str,
        answered_at: datetime | None,
    ) -> None:
        self.status = status
        self.answered_by = answered_by
        self.answered_at = answered_at
        why = "its time is over, or its run does not wait for it any more"
        if answered_at is not None:
            why = (
                f"user {answered_by!r} answered it at "
                f"{answered_at:%Y-%m-%d %H:%M:%S} UTC"
            )
        super().__init__(
            f"Question {question_id} is {status}: {why}. Only the first "
            "answer to an open question counts."
        )


class AnswerNotAllowed(HookflowError, PermissionDenied):
    """The question is for other people; Django answers 403."""

    def __init__(self, question_id: int, user: str) -> None:
        super().__init__(
            f"Question {question_id} is not for user {user!r}. It can be "
            "answered by those it is assigned to, and by users with the "
            "permission django_hookflow.answer_any_question."
        )


class InvalidAnswer(HookflowError, ValueError):
    """The form of a question does not take the answer; it is open still.

    `errors`: lists of texts by field; "__all__" is no field.
    """

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        self.errors = dict(errors)
        said = "; ".join(
            f"{field}: {' '.join(texts)}" for field, texts in errors.items()
        )
        super().__init__(
            f"Invalid answer: {said}. Correct it and send it again."
        )


class TransportError(HookflowError):
    """A message could not be sent; the sweeper sends it later."""


class InvalidDelivery(HookflowError):
    """An incoming message is refused.

    `status`: the HTTP status that tells the sender what to do.
    `kind`: unsigned, forged, expired, oversized, unreadable or malformed,
    for the log.
    """

    def __init__(
        self, reason: str, *, status: int = 401, kind: str = "forged"
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.kind = kind


class Suspension(BaseException):
    """Ends a delivery; do not catch it. The next delivery continues."""

    def __str__(self) -> str:
        return (
            f"{type(self).__name__} ends this delivery of the workflow. If "
            "you see it, a bare `except:` or `except BaseException:` around "
            "a step caught it; catch Exception instead."
        )


class StepCompleted(Suspension):
    """A step ended and the time budget of the delivery is used up."""


class BranchEnded(Suspension):
    """The branch that this delivery is for has ended."""


class StepWaiting(Suspension):
    """The run has to wait.

    `error`: the error after which it tries again, if that is the reason.
    """

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__()
        self.error = error


class LeaseLost(Suspension):
    """Another delivery may own the run: write nothing more."""


def origins(error: BaseException | None) -> Iterator[BaseException]:
    """Yield `error`, the members of a group, and the causes of all, once.

    Authors make these chains, and `raise error from error` makes a circle.
    """
    seen: set[int] = set()
    ahead = [error]
    while ahead:
        origin = ahead.pop()
        if origin is None or id(origin) in seen:
            continue
        seen.add(id(origin))
        yield origin
        ahead.append(origin.__cause__)
        if isinstance(origin, BaseExceptionGroup):
            ahead.extend(reversed(origin.exceptions))


def members(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors in a group, however deep; else `error` itself."""
    ahead = [error]
    while ahead:
        member = ahead.pop()
        if isinstance(member, BaseExceptionGroup):
            ahead.extend(reversed(member.exceptions))
        else:
            yield member
