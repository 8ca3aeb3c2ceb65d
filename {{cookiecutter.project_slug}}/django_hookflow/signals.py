"""Signals of the engine; its own log lines are receivers, too.

Each is sent with the class WorkflowRun as `sender`, and with `workflow_id`
and `run_id`, both str. An error in a receiver is logged and ignored.

    @receiver(signals.step_recorded)
    def count(run_id: str, entry: signals.Entry, **_: Any) -> None: ...

Entry: `step_id`, `kind`, `status`, `result` (JSON text), `failure` or None,
`attempts`, `deliveries`, `started_at` and `executed_at`.
Verdict: `status` of the run, `is_final`, `failure` or None, `result` (JSON
text), `wake_at`, and `entry`, the step that the run waits for.
Failure: `type`, the name of an exception's class, and `message`.
"""

from __future__ import annotations

from django.dispatch import Signal

from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.outcomes import Verdict

__all__ = [
    "Entry",
    "Failure",
    "Verdict",
    "question_asked",
    "question_due",
    "run_claimed",
    "run_committed",
    "run_swept",
    "run_triggered",
    "send_failed",
    "step_recorded",
]

# The run's row is committed.
run_triggered = Signal(use_caching=True)
# A delivery took the lease. `delivery`: its number, an int. `crashes`: how
# many deliveries in a row died before it without an answer, an int.
run_claimed = Signal(use_caching=True)
# A step was executed and recorded; not sent for replayed ones. `entry`: Entry.
step_recorded = Signal(use_caching=True)
# A delivery ended. `verdict`: Verdict. `error`: the exception that the
# function did not catch, or for which a step is tried again, or None.
run_committed = Signal(use_caching=True)
# A delivery came to a process without the code of the run: `error`, and
# `is_news`, False when the run has said so before.
run_parked = Signal(use_caching=True)
# A message could not be sent; the sweeper will. `error`: TransportError.
send_failed = Signal(use_caching=True)
# A run asks people, or others than before. `question`: a row of Question.
question_asked = Signal(use_caching=True)
# Its people are told again. `question`: as above. `escalated`: True when it
# has just gone to another group.
question_due = Signal(use_caching=True)
# The sweeper sent the message of an overdue run again.
run_swept = Signal(use_caching=True)
