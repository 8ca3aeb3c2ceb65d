"""The statuses of runs and steps."""

from __future__ import annotations

from django.db import models


class RunStatus(models.TextChoices):
    # Triggered; its first message has not been claimed yet.
    PENDING = "pending"
    # A delivery holds the lease, or held it when its process died.
    RUNNING = "running"
    # Suspended until a time, an event or both.
    WAITING = "waiting"
    # The function returned.
    COMPLETED = "completed"
    # A permanent error, or retries used up; there is a dead letter.
    FAILED = "failed"
    # Stopped by a person.
    CANCELLED = "cancelled"
    # Undoing its completed steps.
    COMPENSATING = "compensating"
    # Undone.
    COMPENSATED = "compensated"
    # Paused by a person; keeps what it waits for.
    PAUSED = "paused"


class StepStatus(models.TextChoices):
    # Known, not begun.
    PENDING = "pending"
    # Begun: by hand, with record_step_start, or to be begun once only.
    RUNNING = "running"
    # Until a time, an event, or the next attempt.
    WAITING = "waiting"
    # Its result is in the journal for ever.
    COMPLETED = "completed"
    # Its error is in the journal for ever.
    FAILED = "failed"
    # Completed once, undone since.
    COMPENSATED = "compensated"
    # Passed over: an undo that a person has waived.
    SKIPPED = "skipped"


class QuestionStatus(models.TextChoices):
    # Waits for an answer.
    OPEN = "open"
    # The first answer is in the row.
    ANSWERED = "answered"
    # No answer came in time.
    EXPIRED = "expired"
    # Its run does not wait for it any more.
    CLOSED = "closed"


class Request(models.TextChoices):
    """A request to a run, which it obeys between two steps."""

    NOTHING = ""
    PAUSE = "pause"
    CANCEL = "cancel"


# Who may become what. A claim makes a run running, again when a worker died.
NEXT: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.PENDING: frozenset(
        {
            RunStatus.RUNNING,
            RunStatus.PAUSED,
            RunStatus.COMPENSATING,
            RunStatus.CANCELLED,
        }
    ),
    RunStatus.RUNNING: frozenset(
        {
            RunStatus.RUNNING,
            RunStatus.WAITING,
            RunStatus.PAUSED,
            RunStatus.COMPLETED,
            RunStatus.FAILED,
            RunStatus.COMPENSATING,
            RunStatus.CANCELLED,
        }
    ),
    RunStatus.WAITING: frozenset(
        {
            RunStatus.RUNNING,
            RunStatus.PAUSED,
            RunStatus.COMPENSATING,
            RunStatus.CANCELLED,
        }
    ),
    RunStatus.PAUSED: frozenset(
        {
            RunStatus.PENDING,
            RunStatus.WAITING,
            RunStatus.COMPENSATING,
            RunStatus.CANCELLED,
        }
    ),
    RunStatus.COMPENSATING: frozenset(
        {RunStatus.COMPENSATING, RunStatus.COMPENSATED, RunStatus.FAILED}
    ),
    RunStatus.COMPLETED: frozenset(),
    RunStatus.FAILED: frozenset(),
    RunStatus.CANCELLED: frozenset(),
    RunStatus.COMPENSATED: frozenset(),
}

# A delivery may claim these. What it claims is running, or compensating still.
CLAIMABLE = frozenset(
    status
    for status, after in NEXT.items()
    if RunStatus.RUNNING in after or status == RunStatus.COMPENSATING
)

# A person may cancel these. A rollback goes on to its end.
CANCELLABLE = frozenset(
    status for status, after in NEXT.items() if RunStatus.CANCELLED in after
)

# A person may pause these.
PAUSABLE = frozenset(
    status for status, after in NEXT.items() if RunStatus.PAUSED in after
)

# Nothing moves these any more.
TERMINAL = frozenset(status for status, after in NEXT.items() if not after)

# A step in one of these is never run again. No set: every replayed step is
# looked up here, and the hash of an enum is slow.
RECORDED = (
    StepStatus.COMPLETED,
    StepStatus.FAILED,
    StepStatus.COMPENSATED,
    StepStatus.SKIPPED,
)
